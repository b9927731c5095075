"""Grafana, as this program needs it: boards are published to it and what the loop does is marked in it. Nothing waits for it."""
