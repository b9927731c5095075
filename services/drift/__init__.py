"""Drift: judges each window of event time once, against the reference of the version that answered it."""
