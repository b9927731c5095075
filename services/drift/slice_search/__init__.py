"""The smallest part of the rows that a change comes from, found without a list of slices."""
