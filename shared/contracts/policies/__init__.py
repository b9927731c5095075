"""Policies as documents: the part of loop.yaml that says when to train and on which rows."""
