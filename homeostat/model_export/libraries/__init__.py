"""One module per library that models are fitted with."""
