"""The board of retraining."""
