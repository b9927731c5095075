"""Plain numbers as metric families of Prometheus. Each mapping is copied first: another thread may change it meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from services.inference.histogram import Histogram


def by_model(values: Mapping[str, Any]) -> dict[tuple[str], Any]:
    """The values under a tuple of one label."""
    return {(model,): value for model, value in list(values.items())}


def counter(name: str, text: str, labels: list[str], counts: Mapping[Any, int]) -> CounterMetricFamily:
    """A counter with one series per key of `counts`."""
    family = CounterMetricFamily(name, text, labels=labels)
    for values, count in list(counts.items()):
        family.add_metric(values, count)
    return family


def gauge(name: str, text: str, labels: list[str], values: Mapping[Any, float]) -> GaugeMetricFamily:
    """A gauge with one series per key of `values`."""
    family = GaugeMetricFamily(name, text, labels=labels)
    for label_values, value in list(values.items()):
        family.add_metric(label_values, value)
    return family


def histogram(
    name: str, text: str, labels: list[str], values: Mapping[Any, Histogram]
) -> HistogramMetricFamily:
    """A histogram with one series per key of `values`."""
    family = HistogramMetricFamily(name, text, labels=labels)
    for label_values, series in list(values.items()):
        family.add_metric(label_values, series.buckets(), series.sum)
    return family
