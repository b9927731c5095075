"""Thresholds from window size, reference size, cardinality, serial correlation and the alarm budget."""
