"""A real year of flights from New York, replayed through the loop."""
