"""Several server processes on one port: each has a worker number, and each knows the metrics and models of the others."""
