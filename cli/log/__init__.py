"""`homeostat log`: the prediction log for people."""
