"""Kept evaluations as a workspace of Evidently; a process of its own."""
