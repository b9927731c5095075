"""Runs the whole stack on one machine: Kafka, the supervisor, Prometheus and Alertmanager, and fault injection."""
