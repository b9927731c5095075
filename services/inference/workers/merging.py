"""Metrics of several processes as those of one server. Pure.

Counters and histograms are added, also those of processes that have ended: a counter never goes back. Gauges are those of
the processes that run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from prometheus_client.core import Metric

from services.inference.workers.worker_snapshot import Family

Labels = tuple[tuple[str, str], ...]

_ADDED = frozenset({"counter", "histogram"})
# Gauges of things that each process has for itself.
_SUMS = frozenset(
    {
        "homeostat_inference_calls_queued",
        "homeostat_inference_loaded_versions",
        "homeostat_inference_model_memory_bound_bytes",
        "homeostat_inference_model_memory_bytes",
        "homeostat_inference_models",
        "homeostat_inference_requests_in_flight",
        "homeostat_inference_requests_in_flight_limit",
        "homeostat_inference_shadow_queued_rows",
        "homeostat_inference_spool_bound_bytes",
        "homeostat_inference_spool_bytes",
        "homeostat_inference_tasks_unfinished",
    }
)
# The process that lags behind.
_LOWEST = frozenset(
    {
        "homeostat_inference_calls_inline",
        "homeostat_inference_generation",
        "homeostat_inference_model_served",
        "homeostat_tls_certificate_expires_timestamp_seconds",
    }
)


def merge(running: Sequence[Sequence[Family]], ended: Iterable[Sequence[Family]]) -> list[Metric]:
    """One metric per name, in the order of the first process that has it. Other gauges have the greatest value of all."""
    merged: dict[str, Metric] = {}
    values: dict[tuple[str, str, Labels], float] = {}
    # Those of running processes first: they have every metric, with the gauges.
    for families, runs in [*((families, True) for families in running), *((old, False) for old in ended)]:
        for family in families:
            if family.kind not in _ADDED and not runs:
                continue
            merged.setdefault(family.name, Metric(family.name, family.documentation, family.kind))
            combine = _combine(family)
            for series, labels, value in family.samples:
                key = (family.name, series, tuple(labels.items()))
                values[key] = combine(values[key], value) if key in values else value
    for (name, series, series_labels), value in values.items():
        merged[name].add_sample(series, dict(series_labels), value)
    return list(merged.values())


def added(one: Sequence[Family], other: Sequence[Family]) -> list[Family]:
    """The counters and histograms of two processes that have ended, added."""
    return [
        Family(
            metric.name,
            metric.documentation,
            metric.type,
            [(sample.name, dict(sample.labels), float(sample.value)) for sample in metric.samples],
        )
        for metric in merge([], [one, other])
    ]


def _combine(family: Family) -> Callable[[float, float], float]:
    if family.kind in _ADDED or family.name in _SUMS:
        return float.__add__
    return _least if family.name in _LOWEST else _greatest


def _least(one: float, other: float) -> float:
    return other if math.isnan(one) else min(one, other)


def _greatest(one: float, other: float) -> float:
    """NaN is the value of a process that has none yet."""
    return other if math.isnan(one) else max(one, other)
