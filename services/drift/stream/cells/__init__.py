"""The cells of a column: which cell of a tile a value belongs to."""
