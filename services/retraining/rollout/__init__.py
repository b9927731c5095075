"""Releases: promotion, rollback, annotations, and the comparison with the first version."""
