"""TLS of our listeners, and of the clients that call them. Certificates are files, read again when they change."""
