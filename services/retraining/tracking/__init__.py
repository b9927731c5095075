"""Runs mirrored to MLflow."""
