"""The files of a version by name. Processes that run nothing but a model import this alone, and start in half the time."""
