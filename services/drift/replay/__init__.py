"""Drift detection of any loop.yaml, run over rows of the past: `homeostat drift replay`."""
