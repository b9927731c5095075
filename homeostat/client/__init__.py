"""A client for inference: predictions, and outcomes sent from a buffer."""
