"""Releases that a person asks for."""
