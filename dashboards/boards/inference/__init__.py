"""The board of inference."""
