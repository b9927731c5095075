"""The vocabulary the services have in common: contracts, stores, messaging, settings, errors, observability."""
