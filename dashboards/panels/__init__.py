"""The panels, by what they are about. Each is a function; a board says which stand where."""
