"""Kafka to the lake."""
