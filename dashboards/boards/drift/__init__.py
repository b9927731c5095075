"""The board of drift."""
