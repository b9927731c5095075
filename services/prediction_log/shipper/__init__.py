"""Spool to Kafka."""
