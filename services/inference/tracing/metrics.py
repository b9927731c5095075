"""Metrics of spans."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from services.inference.metric_families import by_model, counter


class SpanMetrics(Collector):
    """Spans by what became of them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._spans: Counter[str] = Counter()
        registry.register(self)

    def count(self, result: str, spans: int) -> None:
        """Spans were exported, failed (the receiver did not take them) or dropped (the queue was full)."""
        self._spans[result] += spans

    def collect(self) -> Iterable[CounterMetricFamily]:
        """All series."""
        yield counter(
            "homeostat_inference_spans",
            "OpenTelemetry spans; result is exported, failed (not accepted by the receiver) or dropped (the queue was full).",
            ["result"],
            by_model(self._spans),
        )
