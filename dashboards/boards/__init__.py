"""One folder per board: the overview of the loop, then one board per service."""
