"""Runs a training command and reads what it wrote."""
