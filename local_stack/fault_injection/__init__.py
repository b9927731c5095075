"""Rehearsals on a local stack: traffic, drift, faults, slowness, outages. One noun per file."""
