"""The `homeostat` command: starts the services on one machine, calls them over HTTP, and checks them."""
