"""Starts the processes of the stack, restarts them when they die, and stops them in order."""
