"""Publishing the shipped boards to a Grafana, and checking what it has."""
