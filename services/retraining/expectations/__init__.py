"""A suite of Great Expectations as a check of the gate."""
