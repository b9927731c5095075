"""Kafka: producer, consumer, and records as Arrow batches with CloudEvents headers."""
