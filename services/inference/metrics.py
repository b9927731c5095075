"""Metrics of the inference service.

Kept as plain numbers and turned into series when somebody scrapes: counting costs a request about a microsecond.
(BentoML puts prometheus-client into its multi-process mode before our code is imported; its own counters would write
every sample to a file.)
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from services.inference.servable import Servable

# From 0.25 ms, where a small model's answer lies, to the point at which nobody waits any more.
REQUEST_BUCKETS = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
KEPT_VERSIONS = 16  # replaced versions of a model whose series are still shown
SWAP_BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0)


class Distribution:
    """One histogram series: how many observations fell into each bucket, and their sum."""

    __slots__ = ("_bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self._bounds, value)] += 1
        self.sum += value

    def buckets(self) -> list[tuple[str, float]]:
        """Cumulative, as Prometheus wants them."""
        total, result = 0, []
        for bound, count in zip((*map(str, self._bounds), "+Inf"), self.counts, strict=True):
            total += count
            result.append((bound, float(total)))
        return result


class InferenceMetrics(Collector):
    """Every series this service has, but the spool's; registered on a registry of its own."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.in_flight = 0
        self._requests: dict[tuple[str, str, str], Distribution] = {}
        self._rows: Counter[tuple[str, str]] = Counter()
        self._errors: Counter[str] = Counter()
        self._outcomes: Counter[str] = Counter()
        self._swaps: Counter[tuple[str, str]] = Counter()
        self._swap_seconds: dict[str, Distribution] = {}
        self._served: dict[str, Servable] = {}
        self._loaded: Counter[str] = Counter()
        self._retired: dict[str, list[str]] = {}
        self._release_log_age: Callable[[], float | None] = lambda: None
        registry.register(self)

    def answered(self, servable: Servable, rows: int, seconds: float) -> None:
        """A request was answered."""
        self._request(servable.model, servable.version_short, "answered").observe(seconds)
        self._rows[servable.model, servable.version_short] += rows

    def failed(self, servable: Servable | None, outcome: str, status: int, seconds: float) -> None:
        """A request got an error: `refused` (the caller's to mend) or `failed` (ours)."""
        model, version = (servable.model, servable.version_short) if servable is not None else ("", "")
        self._request(model, version, outcome).observe(seconds)
        self._errors[str(status)] += 1

    def outcomes(self, model: str, count: int) -> None:
        """Outcomes were accepted."""
        self._outcomes[model] += count

    def swapped(self, servable: Servable, *, seconds: float) -> None:
        """A release is served from now on."""
        self._swaps[servable.model, "served"] += 1
        self._swap_seconds.setdefault(servable.model, Distribution(SWAP_BUCKETS)).observe(seconds)
        self._served[servable.model] = servable
        self._loaded[servable.model] += 1

    def swap_failed(self, model: str) -> None:
        """A release could not be served; the one before it still is."""
        self._swaps[model, "failed"] += 1

    def unloaded(self, servable: Servable) -> None:
        """A replaced version left the memory; its series stay until as many others were replaced as are kept."""
        self._loaded[servable.model] -= 1
        retired = self._retired.setdefault(servable.model, [])
        if servable.version_short in retired:
            retired.remove(servable.version_short)
        retired.append(servable.version_short)
        while len(retired) > KEPT_VERSIONS:
            self._forget(servable.model, retired.pop(0))

    def watch_release_log(self, age: Callable[[], float | None]) -> None:
        """Where to read the age of the last good look at the release log."""
        self._release_log_age = age

    def collect(self) -> Iterable[Metric]:
        """All series as they stand. Copies first: a scrape may run beside the thread that swaps."""
        requests = HistogramMetricFamily(
            "homeostat_inference_request_duration_seconds",
            "Time from the whole body to the whole answer; outcome is answered, refused (the caller's error) or failed (ours).",
            labels=["model", "version", "outcome"],
        )
        for labels, distribution in list(self._requests.items()):
            requests.add_metric(labels, distribution.buckets(), distribution.sum)
        yield requests
        yield _counter("homeostat_inference_rows", "Rows answered.", ["model", "version"], self._rows)
        errors = {(status,): count for status, count in list(self._errors.items())}
        yield _counter("homeostat_inference_errors", "Requests answered with an error.", ["status"], errors)
        accepted = {(model,): count for model, count in list(self._outcomes.items())}
        yield _counter("homeostat_inference_outcomes", "Outcomes accepted.", ["model"], accepted)
        yield GaugeMetricFamily(
            "homeostat_inference_requests_in_flight", "Requests being answered now.", self.in_flight
        )
        yield _counter(
            "homeostat_inference_swaps",
            "Attempts to serve a new release; result is served or failed.",
            ["model", "result"],
            self._swaps,
        )
        swaps = HistogramMetricFamily(
            "homeostat_inference_swap_duration_seconds",
            "Time from seeing a release to serving it.",
            labels=["model"],
        )
        for model, distribution in list(self._swap_seconds.items()):
            swaps.add_metric([model], distribution.buckets(), distribution.sum)
        yield swaps
        yield from self._about_versions()
        age = self._release_log_age()
        yield GaugeMetricFamily(
            "homeostat_inference_release_log_age_seconds",
            "Seconds since the release log was last read; NaN before the first time.",
            float("nan") if age is None else age,
        )

    def _about_versions(self) -> Iterable[Metric]:
        served = list(self._served.values())
        generation = GaugeMetricFamily(
            "homeostat_inference_generation", "Generation that is served.", labels=["model"]
        )
        info = GaugeMetricFamily(
            "homeostat_inference_model_info",
            "1 for the version that is served.",
            labels=["model", "version", "device"],
        )
        for servable in served:
            generation.add_metric([servable.model], servable.generation)
            info.add_metric([servable.model, servable.version_short, servable.device], 1)
        yield generation
        yield info
        loaded = GaugeMetricFamily(
            "homeostat_inference_loaded_versions",
            "Versions in memory: one, or more while a replaced one drains.",
            labels=["model"],
        )
        for model, count in list(self._loaded.items()):
            loaded.add_metric([model], count)
        yield loaded

    def _forget(self, model: str, version: str) -> None:
        served = self._served.get(model)
        if served is None or served.version_short != version:
            self._rows.pop((model, version), None)
            for labels in [labels for labels in self._requests if labels[:2] == (model, version)]:
                del self._requests[labels]

    def _request(self, model: str, version: str, outcome: str) -> Distribution:
        labels = (model, version, outcome)
        found = self._requests.get(labels)
        if found is None:
            found = self._requests[labels] = Distribution(REQUEST_BUCKETS)
        return found


def _counter(name: str, text: str, labels: list[str], counts: Mapping[Any, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=labels)
    for values, count in list(counts.items()):
        family.add_metric(values, count)
    return family
