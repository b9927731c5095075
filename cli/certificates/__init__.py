"""`homeostat certificates`: certificates to try encrypted connections."""
