"""Several server processes on one port: each has a place, and each knows the metrics and models of the others."""
