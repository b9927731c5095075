"""Which windows can be evaluated, and the rows they are evaluated on."""
