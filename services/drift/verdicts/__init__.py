"""Verdicts stored, published and annotated."""
