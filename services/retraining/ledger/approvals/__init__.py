"""Answers of people to runs that wait: who may give them, for how long, and in whose place."""
