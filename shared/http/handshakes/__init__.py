"""The TLS handshakes of our listeners."""
