"""Deciding, and nothing else: pure functions from a cause and the past to a decision with its reason."""
