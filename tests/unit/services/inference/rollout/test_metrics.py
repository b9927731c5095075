"""Series of slots are bounded: those of versions replaced long ago are dropped."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from prometheus_client import CollectorRegistry

from services.inference.rollout.metrics import SlotMetrics


def test_series_of_a_version_are_forgotten() -> None:
    registry = CollectorRegistry()
    metrics = SlotMetrics(registry)
    first: Any = SimpleNamespace(model="toy", version_short="a")
    second: Any = SimpleNamespace(model="toy", version_short="b")
    for servable in (first, second):
        metrics.answered(servable, "shadow", 0.01, requests=3)
        metrics.not_answered(servable, "shadow", "dropped", requests=2)
        metrics.differed(servable, 0.5)
    assert metrics.of(first, "shadow") == {"requests": {"answered": 3, "dropped": 2}, "mean_seconds": 0.01}
    metrics.forget("toy", "a")
    found = {
        sample.labels["version"]
        for family in registry.collect()
        for sample in family.samples
        if "version" in sample.labels
    }
    assert found == {"b"}
    assert metrics.of(first, "shadow") == {"requests": {}, "mean_seconds": None}
