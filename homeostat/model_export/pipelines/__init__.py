"""Pipelines of scikit-learn and estimators made of others, as parts of one graph."""
