"""`homeostat run`: one retraining run."""
