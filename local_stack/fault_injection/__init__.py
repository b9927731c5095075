"""Fault injection on a local stack: traffic, drift, data faults and outages."""
