"""What chance alone can do: thresholds that know window size, reference size, cardinality and serial correlation."""
