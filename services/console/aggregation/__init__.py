"""Polls the services and combines their answers into one snapshot."""
