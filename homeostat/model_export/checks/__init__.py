"""Checks of what a caller passes to `homeostat.export`, and refusals of what fails inside."""
