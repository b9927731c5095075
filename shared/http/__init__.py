"""What the HTTP servers of all services have in common."""
