"""Builds a signed version of a model project for `homeostat deploy`."""
