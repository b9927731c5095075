"""`homeostat erase`: removes what an installation stores of one subject."""
