"""Checks of a data set: alone, against `loop.yaml`, and against a reference."""
