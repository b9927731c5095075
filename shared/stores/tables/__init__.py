"""How the lake's Delta tables are opened and read at a cost that does not grow with their age."""
