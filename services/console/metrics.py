"""Prometheus metrics of the console. Label values are bounded: its routes and the services that it polls."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

SNAPSHOT_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class ConsoleMetrics:
    """All metrics of the service, on `registry`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.requests = Counter(
            "homeostat_console_requests_total",
            "Requests answered, by route and HTTP status.",
            ("route", "status"),
            registry=registry,
        )
        self.polls = Counter(
            "homeostat_console_polls_total",
            "Requests to other services, by service and by result (ok, failed).",
            ("service", "result"),
            registry=registry,
        )
        self.snapshot_seconds = Histogram(
            "homeostat_console_snapshot_seconds",
            "Time to poll all services and combine their answers, in seconds.",
            registry=registry,
            buckets=SNAPSHOT_BUCKETS,
        )
