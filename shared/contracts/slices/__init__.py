"""`slices` in loop.yaml: parts of the rows that are judged on their own."""
