"""Renders a snapshot as HTML."""
