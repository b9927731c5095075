"""One board a file: the loop on one page, then each service for who is on call."""
