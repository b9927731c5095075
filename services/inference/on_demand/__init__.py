"""Many models in bounded memory: the least recently used ones are unloaded, and loaded again when a request needs them."""
