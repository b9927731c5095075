"""Grafana client: publishing boards and writing annotations. No service depends on Grafana being available."""
