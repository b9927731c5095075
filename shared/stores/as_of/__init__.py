"""The lake as it was at an earlier time, read from its newest version."""
