"""Grafana boards, Prometheus and Alertmanager configuration, alert rules."""
