"""Rows of the lake for people: SQL, the newest rows, and all rows of a range batch by batch."""
