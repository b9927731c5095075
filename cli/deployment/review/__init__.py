"""Holds `loop.yaml` against the rows of a deployment: what is sure to go wrong later is said at once."""
