"""One file per command of `homeostat`."""
