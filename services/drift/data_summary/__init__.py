"""A summary of what a model has logged; a process of its own."""
