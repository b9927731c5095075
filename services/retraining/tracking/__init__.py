"""MLflow tracking of runs and releases."""
