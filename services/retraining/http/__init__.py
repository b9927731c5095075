"""HTTP routes of the retraining service."""
