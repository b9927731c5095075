"""Decisions of policies that start nothing."""
