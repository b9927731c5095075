"""Drift detection: evaluates each window of event time once, against the reference rows of the version that answered it."""
