"""Gauges of `metrics` of loop.yaml and of its slices. loop.yaml bounds their number."""

from __future__ import annotations

import math
from contextlib import suppress

from prometheus_client import CollectorRegistry, Gauge

from shared.contracts.verdict import Verdict

_LABELS = ("model", "metric", "slice")


class PerformanceGauges:
    """The metrics of the last window whose performance was judged, beside those of the reference."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._window = Gauge(
            "homeostat_drift_performance_metric",
            "A metric of loop.yaml, or the loss of a slice, in the last window whose performance was judged.",
            _LABELS,
            registry=registry,
        )
        self._reference = Gauge(
            "homeostat_drift_reference_performance_metric",
            "The same metric of the version on its reference.",
            _LABELS,
            registry=registry,
        )
        self._shown: dict[str, set[tuple[str, str]]] = {}

    def show(self, verdict: Verdict) -> None:
        """Set the gauges. Metrics and slices that only another version's loop.yaml names go."""
        shown = {(metric.name, metric.slice) for metric in verdict.metrics}
        for gone in self._shown.get(verdict.model, set()) - shown:
            for gauge in (self._window, self._reference):
                show_or_remove(gauge, verdict.model, *gone, value=None)
        self._shown[verdict.model] = shown
        for metric in verdict.metrics:
            labels = (verdict.model, metric.name, metric.slice)
            show_or_remove(self._window, *labels, value=metric.value)
            show_or_remove(self._reference, *labels, value=metric.reference)


def show_or_remove(gauge: Gauge, *labels: str, value: float | None) -> None:
    """A value that the last window lacks has no series, rather than that of an earlier window."""
    if value is not None and math.isfinite(value):
        gauge.labels(*labels).set(value)
        return
    with suppress(KeyError):
        gauge.remove(*labels)
