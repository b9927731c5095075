"""A version as a signed folder: writing it, checking it before use, and the keys of both."""
