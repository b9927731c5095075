"""Metrics of models that are loaded on demand. Unloads are counted on the thread that loads, the rest on the event loop."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from typing import Protocol

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from services.inference.histogram import LOAD_BUCKETS, Histogram
from services.inference.metric_families import by_model, counter, gauge
from services.inference.models.servable import Servable
from services.inference.models.slot import Slots


class VersionCounts(Protocol):
    """Where versions in memory are counted."""

    def loaded(self, servable: Servable) -> None: ...

    def unloaded(self, servable: Servable) -> None: ...


class OnDemandMetrics(Collector):
    """Models in memory and not, loads on demand, unloads, and the memory that is counted against the bound."""

    def __init__(self, registry: CollectorRegistry, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._recent: deque[tuple[float, float]] = deque()
        self.bound_bytes: int | None = None
        self._versions: VersionCounts | None = None
        self._slots: Slots[Servable] = Slots()
        self._loads: Counter[tuple[str, str]] = Counter()
        self._unloads: Counter[str] = Counter()
        self._seconds = Histogram(LOAD_BUCKETS)
        registry.register(self)

    def watch(self, slots: Slots[Servable], versions: VersionCounts, *, bound_bytes: int | None) -> None:
        """Set the models, where their versions are counted, and the bound of their memory; None without one."""
        self._slots, self._versions, self.bound_bytes = slots, versions, bound_bytes

    def loaded(self, servable: Servable, *, seconds: float) -> None:
        """A model was loaded because a request needed it."""
        if self._versions is not None:
            self._versions.loaded(servable)
        self._loads[servable.model, "loaded"] += 1
        self._seconds.observe(seconds)
        self._recent.append((self._clock(), seconds))

    def load_failed(self, model: str) -> None:
        """A model could not be loaded."""
        self._loads[model, "failed"] += 1

    def timed_out(self, model: str) -> None:
        """A request got a 503 because its model was still being loaded."""
        self._loads[model, "timed_out"] += 1

    def unloaded(self, servable: Servable) -> None:
        """A model was unloaded to make room."""
        if self._versions is not None:
            self._versions.unloaded(servable)
        self._unloads[servable.model] += 1

    def last_minute(self) -> tuple[int, float]:
        """Models that were loaded on demand in the last 60 seconds, and the sum of what each load took."""
        since = self._clock() - 60
        while self._recent and self._recent[0][0] < since:
            self._recent.popleft()
        return len(self._recent), sum(seconds for _, seconds in self._recent)

    def totals(self) -> dict[str, int]:
        """Loads by result and unloads, of all models."""
        found = Counter({"loaded": 0, "failed": 0, "timed_out": 0})
        for (_, result), count in list(self._loads.items()):
            found[result] += count
        return {**found, "unloaded": sum(list(self._unloads.values()))}

    def collect(self) -> Iterable[Metric]:
        """All series."""
        loaded = self._slots.current()
        yield gauge(
            "homeostat_inference_models",
            "Models with a live version: loaded, or unloaded, which the next request loads.",
            ["state"],
            {("loaded",): len(loaded), ("unloaded",): len(self._slots.all_unloaded())},
        )
        yield counter(
            "homeostat_inference_demand_loads",
            "Loads because a request needed the model: loaded or failed; timed_out counts requests that were refused meanwhile.",
            ["model", "result"],
            self._loads,
        )
        seconds = HistogramMetricFamily(
            "homeostat_inference_demand_load_duration_seconds",
            "Time from the request that needs an unloaded model until the model is loaded.",
        )
        seconds.add_metric([], self._seconds.buckets(), self._seconds.sum)
        yield seconds
        yield counter(
            "homeostat_inference_unloads",
            "Least recently used models unloaded to make room for others.",
            ["model"],
            by_model(self._unloads),
        )
        memory = GaugeMetricFamily(
            "homeostat_inference_model_memory_bytes",
            "Memory of the loaded models, measured when each was loaded; only with HOMEOSTAT_INFERENCE_MODEL_MEMORY_MIB.",
        )
        bound = GaugeMetricFamily(
            "homeostat_inference_model_memory_bound_bytes",
            "Maximum memory of the loaded models; only with HOMEOSTAT_INFERENCE_MODEL_MEMORY_MIB.",
        )
        if self.bound_bytes is not None:
            memory.add_metric([], sum(servable.memory_bytes for servable in self._slots.in_memory()))
            bound.add_metric([], self.bound_bytes)
        yield memory
        yield bound
