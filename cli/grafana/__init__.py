"""Publishing the shipped boards to Grafana, and checking them."""
