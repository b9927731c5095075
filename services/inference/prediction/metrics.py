"""Metrics of how long calls are expected to take, and where they run because of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from services.inference.metric_families import by_model, counter, gauge
from services.inference.models.servable import Servable
from services.inference.models.slot import Slots

IsInline = Callable[[Servable, int], bool]


class CallEstimateMetrics(Collector):
    """The estimates of the live versions in memory, for calls of one row."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._slots: Slots[Servable] = Slots()
        self._is_inline: IsInline = lambda servable, rows: True
        registry.register(self)

    def watch(self, slots: Slots[Servable], is_inline: IsInline) -> None:
        """Set the models, and what decides whether a call of so many rows runs on the event loop."""
        self._slots, self._is_inline = slots, is_inline

    def of(self, servable: Servable) -> dict[str, Any]:
        """For the status report, about calls of one row; `estimate_changes` are those of all sizes."""
        return {
            "expected_call_seconds": servable.seconds(1),
            "inline": self._is_inline(servable, 1),
            "estimate_changes": servable.estimate.changes,
        }

    def collect(self) -> Iterable[Metric]:
        """All series."""
        loaded = {servable.model: servable for servable in self._slots.current()}
        yield gauge(
            "homeostat_inference_expected_call_seconds",
            "Expected duration of a model call of one row: measured at load, and followed while the model serves.",
            ["model"],
            by_model({model: servable.seconds(1) for model, servable in loaded.items()}),
        )
        yield gauge(
            "homeostat_inference_calls_inline",
            "1 if calls of one row run on the event loop, 0 if they run on a thread because they take too long.",
            ["model"],
            by_model({model: int(self._is_inline(servable, 1)) for model, servable in loaded.items()}),
        )
        yield counter(
            "homeostat_inference_call_estimate_changes",
            "How often the expected duration of the loaded version's calls was corrected, for any number of rows.",
            ["model"],
            by_model({model: servable.estimate.changes for model, servable in loaded.items()}),
        )
