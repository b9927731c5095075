"""Observability of a service: structured logs and the metrics endpoint."""
