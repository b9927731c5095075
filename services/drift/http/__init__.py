"""HTTP routes of the drift service and the reports of verdicts."""
