"""`homeostat why-not` and `homeostat whatif`: what the retraining policy decides, and what another would have."""
