"""Batch scoring of files: tasks that survive a restart, their rows, their results and their routes."""
