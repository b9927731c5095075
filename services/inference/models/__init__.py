"""From the release log to a model that serves: watch, load, verify, swap."""
