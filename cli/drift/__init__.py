"""`homeostat drift`: drift detection replayed over the past."""
