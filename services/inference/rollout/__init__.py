"""Canary and shadow: which requests they get, what becomes of their failures, and what is measured of them."""
