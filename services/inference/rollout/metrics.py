"""Metrics of slots: requests by result, their duration, copies that a shadow did not answer, and its difference from live."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Literal

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from services.inference.histogram import CALL_BUCKETS, Histogram
from services.inference.metric_families import counter, gauge, histogram
from services.inference.models.servable import Servable
from services.inference.models.slot import Slots
from shared.contracts.release import Slot

# answered   by the slot
# failed     its call raised an error, or did not end in time, and of a shadow each copy until that call has ended
# non_finite it returned NaN or infinity
# refused    its features do not accept a row that the live version accepts
# queued     too many of its calls wait for a thread
# dropped    a copy for a shadow that had enough of them
Result = Literal["answered", "failed", "non_finite", "refused", "queued", "dropped"]
DIFFERENCE_BUCKETS = (0.0, 1e-6, 1e-4, 1e-3, 0.01, 0.03, 0.1, 0.3, 1.0, 10.0)


class SlotMetrics(Collector):
    """Counted on the event loop, and those of shadows on their thread.

    Requests to the live version are counted only while a canary runs: then both take the same path.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._slots: Slots[Servable] = Slots()
        self._results: Counter[tuple[str, str, str, str]] = Counter()
        self._seconds: dict[tuple[str, str, str], Histogram] = {}
        self._differences: dict[tuple[str, str], Histogram] = {}
        self._failed_loads: dict[tuple[str, str], int] = {}
        self._queued_rows: Callable[[], int] = lambda: 0
        registry.register(self)

    def watch(self, slots: Slots[Servable]) -> None:
        """Set the models."""
        self._slots = slots

    def answered(self, servable: Servable, slot: Slot, seconds: float, *, requests: int = 1) -> None:
        """A slot answered a request, or a shadow copies of some in one call."""
        self._results[servable.model, slot, servable.version_short, "answered"] += requests
        labels = (servable.model, slot, servable.version_short)
        found = self._seconds.get(labels)
        if found is None:
            found = self._seconds[labels] = Histogram(CALL_BUCKETS)
        found.observe(seconds)

    def not_answered(self, servable: Servable, slot: Slot, result: Result, *, requests: int = 1) -> None:
        """A slot could not answer: of a canary the live version did, of a shadow nobody had to."""
        self._results[servable.model, slot, servable.version_short, result] += requests

    def differed(self, shadow: Servable, difference: float) -> None:
        """Largest absolute difference between the numbers of a copy's answer and those of the live version."""
        labels = (shadow.model, shadow.version_short)
        found = self._differences.get(labels)
        if found is None:
            found = self._differences[labels] = Histogram(DIFFERENCE_BUCKETS)
        found.observe(difference)

    def loads(self, model: str, slot: Slot, *, failed: bool) -> None:
        """Whether the newest release of a canary or shadow could not be loaded."""
        self._failed_loads[model, slot] = int(failed)

    def watch_queue(self, queued_rows: Callable[[], int]) -> None:
        """Set the source of the number of rows that wait for shadows."""
        self._queued_rows = queued_rows

    def forget(self, model: str, version: str) -> None:
        """Drop the series of a version that was replaced long ago."""
        for series in (self._results, self._seconds):
            for labels in [one for one in list(series) if (one[0], one[2]) == (model, version)]:
                del series[labels]  # type: ignore[arg-type]
        self._differences.pop((model, version), None)

    def of(self, servable: Servable, slot: Slot) -> dict[str, Any]:
        """For the status report: counts by result since this process started, and the mean duration."""
        key = (servable.model, slot, servable.version_short)
        counts = {name: count for (*found, name), count in list(self._results.items()) if (*found,) == key}
        seconds = self._seconds.get(key)
        mean = seconds.sum / seconds.count() if seconds is not None and seconds.count() else None
        return {"requests": counts, "mean_seconds": mean}

    def collect(self) -> Iterable[Metric]:
        """All series."""
        yield counter(
            "homeostat_inference_slot_requests",
            "Requests by slot (live: only while a canary runs) and result; unless it is `answered`, the live version answered.",
            ["model", "slot", "version", "result"],
            self._results,
        )
        yield histogram(
            "homeostat_inference_slot_duration_seconds",
            "Time to an answer: of live and canary from the checked request to the logged answer, of a shadow its model call.",
            ["model", "slot", "version"],
            self._seconds,
        )
        yield histogram(
            "homeostat_inference_shadow_difference",
            "Largest absolute difference between the numbers that a shadow and the live version answer, per copy.",
            ["model", "version"],
            self._differences,
        )
        yield gauge(
            "homeostat_inference_slot_share",
            "Share of the requests that a canary or shadow in memory gets.",
            ["model", "slot", "version"],
            {
                (one.model, one.release.slot, one.version_short): one.release.share
                for one in self._slots.sides.all()
            },
        )
        yield gauge(
            "homeostat_inference_slot_failed",
            "1 if the newest release of a canary or shadow cannot be loaded, else 0.",
            ["model", "slot"],
            self._failed_loads,
        )
        yield GaugeMetricFamily(
            "homeostat_inference_shadow_queued_rows", "Rows that wait for shadows.", self._queued_rows()
        )
