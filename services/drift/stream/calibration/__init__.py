"""What the reference says about streams without drift: cycles, serial correlation, and thresholds."""
