"""Making a signed version of a model project, as `homeostat deploy` does it."""
