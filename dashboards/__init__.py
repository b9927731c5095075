"""What shows the loop and rings when it needs somebody: Grafana boards, Prometheus and Alertmanager rules, runbooks."""
