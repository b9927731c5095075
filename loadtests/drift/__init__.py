"""Measurements of drift detection: simulated worlds with and without drift, faults, and costs."""
