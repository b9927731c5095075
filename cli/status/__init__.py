"""What `homeostat status` reads from the services, and how it is shown."""
