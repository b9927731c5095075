"""A model whose outcomes take two weeks: Evidently's scores and estimated performance start its retraining."""
