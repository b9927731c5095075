"""Numbers that stand for values with no order of their own."""
