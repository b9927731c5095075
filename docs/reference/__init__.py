"""Reads the code and describes it as Markdown tables, one module per kind of thing."""
