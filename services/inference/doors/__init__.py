"""The HTTP doors: each turns a request into a call of the core, and the result into an answer."""
