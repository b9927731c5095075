"""Drift detection on the stream of predictions: additive tiles of counts, and sequential detectors on them. Pure."""
