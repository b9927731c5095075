"""`homeostat trigger`."""
