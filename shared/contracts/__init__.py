"""The types that travel along the arrows between the services; one noun per module."""
