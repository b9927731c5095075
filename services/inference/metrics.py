"""Metrics of the inference service.

Kept as plain numbers and turned into series when somebody scrapes: counting costs a request about a microsecond.
(BentoML puts prometheus-client into its multi-process mode before our code is imported; its own counters would write
every sample to a file.)
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from services.inference.histogram import Distribution
from services.inference.models.servable import Servable

# From 0.25 ms, where a small model's answer lies, to the point at which nobody waits any more.
REQUEST_BUCKETS = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
# A call is a part of a request, and a small model's takes some twenty microseconds.
CALL_BUCKETS = (0.00005, 0.0001, *REQUEST_BUCKETS)
ROW_BUCKETS = (1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0, 10000.0)
SWAP_BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0)
KEPT_VERSIONS = 16  # replaced versions of a model whose series are still shown


class InferenceMetrics(Collector):
    """Every series this service has, but the spool's and the GPU's; registered on a registry of its own.

    Everything is counted on the server's event loop, but for what the watcher's thread says about releases.
    """

    def __init__(self, registry: CollectorRegistry, *, clock: Callable[[], float] = time.time) -> None:
        self.registry = registry
        self.in_flight = 0
        self._clock = clock
        self._device: tuple[str, str] | None = None
        self._requests: dict[tuple[str, str, str], Distribution] = {}
        self._rows: Counter[tuple[str, str]] = Counter()
        self._batches: dict[str, Distribution] = {}
        self._calls: dict[tuple[str, str, str], Distribution] = {}
        self._waits: dict[str, Distribution] = {}
        self._last_predictions: dict[str, float] = {}
        self._errors: Counter[str] = Counter()
        self._outcomes: Counter[str] = Counter()
        self._swaps: Counter[tuple[str, str]] = Counter()
        self._swap_seconds: dict[str, Distribution] = {}
        self._release_failed: dict[str, int] = {}
        self._served: dict[str, Servable] = {}
        self._loaded: Counter[str] = Counter()
        self._retired: dict[str, list[str]] = {}
        self._release_log_age: Callable[[], float | None] = lambda: None
        self._calls_queued: Callable[[], int] = lambda: 0
        registry.register(self)

    def answered(self, servable: Servable, rows: int, seconds: float) -> None:
        """A request was answered."""
        self._request(servable.model, servable.version_short, "answered").observe(seconds)
        self._rows[servable.model, servable.version_short] += rows
        batch = self._batches.get(servable.model)
        if batch is None:
            batch = self._batches[servable.model] = Distribution(ROW_BUCKETS)
        batch.observe(rows)
        self._last_predictions[servable.model] = self._clock()

    def called(self, servable: Servable, *, waited: float, seconds: float) -> None:
        """The model was called: `waited` until a thread began the call, `seconds` inside it."""
        labels = (servable.model, servable.version_short, servable.device)
        call = self._calls.get(labels)
        if call is None:
            call = self._calls[labels] = Distribution(CALL_BUCKETS)
        call.observe(seconds)
        wait = self._waits.get(servable.model)
        if wait is None:
            wait = self._waits[servable.model] = Distribution(CALL_BUCKETS)
        wait.observe(waited)

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
        self.release_served(servable.model)

    def swap_failed(self, model: str) -> None:
        """A release could not be served; the one before it still is."""
        self._swaps[model, "failed"] += 1
        self._release_failed[model] = 1

    def release_served(self, model: str) -> None:
        """What is served is the newest release."""
        self._release_failed[model] = 0

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

    def watch_queue(self, queued: Callable[[], int]) -> None:
        """Where to read how many calls wait for a thread."""
        self._calls_queued = queued

    def runs_on(self, device: str, reason: str) -> None:
        """The device this process chose, and why."""
        self._device = (device, reason)

    # For the status page

    def calls_queued(self) -> int:
        """Calls that wait for a thread now."""
        return self._calls_queued()

    def last_predictions(self) -> Mapping[str, float]:
        """When each model last answered, in seconds since 1970."""
        return dict(self._last_predictions)

    def requests_by_outcome(self) -> dict[str, Counter[str]]:
        """Requests so far by model (empty where none was found) and outcome; versions long gone are not in it."""
        found: dict[str, Counter[str]] = {}
        for (model, _, outcome), distribution in list(self._requests.items()):
            found.setdefault(model, Counter())[outcome] += distribution.count()
        return found

    def errors_by_status(self) -> dict[str, int]:
        """Requests answered with an error so far, by HTTP status."""
        return dict(sorted(self._errors.items()))

    def collect(self) -> Iterable[Metric]:
        """All series as they stand. Copies first: a scrape may run beside the thread that swaps."""
        yield from self._about_requests()
        yield from self._about_calls()
        yield from self._about_releases()
        yield from self._about_versions()

    def _about_requests(self) -> Iterable[Metric]:
        yield _histogram(
            "homeostat_inference_request_duration_seconds",
            "Time from the whole body to the whole answer; outcome is answered, refused (the caller's error) or failed (ours).",
            ["model", "version", "outcome"],
            self._requests,
        )
        yield _counter("homeostat_inference_rows", "Rows answered.", ["model", "version"], self._rows)
        yield _histogram(
            "homeostat_inference_batch_rows",
            "Rows per answered request.",
            ["model"],
            _by_model(self._batches),
        )
        errors = {(status,): count for status, count in list(self._errors.items())}
        yield _counter("homeostat_inference_errors", "Requests answered with an error.", ["status"], errors)
        yield _counter(
            "homeostat_inference_outcomes", "Outcomes accepted.", ["model"], _by_model(self._outcomes)
        )
        yield _gauge(
            "homeostat_inference_last_prediction_timestamp_seconds",
            "When the model last answered, in seconds since 1970; absent before the first time.",
            ["model"],
            _by_model(self._last_predictions),
        )
        yield GaugeMetricFamily(
            "homeostat_inference_requests_in_flight", "Requests being answered now.", self.in_flight
        )

    def _about_calls(self) -> Iterable[Metric]:
        yield _histogram(
            "homeostat_inference_call_duration_seconds",
            "Time of one call of the model in its runtime, also of one that failed.",
            ["model", "version", "device"],
            self._calls,
        )
        yield _histogram(
            "homeostat_inference_queue_duration_seconds",
            "Time a call waited for a thread before the runtime began; next to nothing where it is made at once.",
            ["model"],
            _by_model(self._waits),
        )
        yield GaugeMetricFamily(
            "homeostat_inference_calls_queued", "Calls waiting for a call thread.", self._calls_queued()
        )
        yield _gauge(
            "homeostat_inference_device_info",
            "1 for the device this process chose, with the reason.",
            ["device", "reason"],
            {self._device: 1} if self._device else {},
        )

    def _about_releases(self) -> Iterable[Metric]:
        yield _counter(
            "homeostat_inference_swaps",
            "Attempts to serve a new release; result is served or failed.",
            ["model", "result"],
            self._swaps,
        )
        yield _histogram(
            "homeostat_inference_swap_duration_seconds",
            "Time from seeing a release to serving it.",
            ["model"],
            _by_model(self._swap_seconds),
        )
        yield _gauge(
            "homeostat_inference_release_failed",
            "1 while the newest release cannot be served (the version before it serves on), else 0.",
            ["model"],
            _by_model(self._release_failed),
        )
        age = self._release_log_age()
        yield GaugeMetricFamily(
            "homeostat_inference_release_log_age_seconds",
            "Seconds since the release log was last read; NaN before the first time.",
            float("nan") if age is None else age,
        )

    def _about_versions(self) -> Iterable[Metric]:
        served = list(self._served.values())
        yield _gauge(
            "homeostat_inference_generation",
            "Generation that is served.",
            ["model"],
            {(servable.model,): servable.generation for servable in served},
        )
        yield _gauge(
            "homeostat_inference_model_info",
            "1 for the version that is served.",
            ["model", "version", "device"],
            {(servable.model, servable.version_short, servable.device): 1 for servable in served},
        )
        yield _gauge(
            "homeostat_inference_loaded_versions",
            "Versions in memory: one, or more while a replaced one drains.",
            ["model"],
            _by_model(self._loaded),
        )

    def _forget(self, model: str, version: str) -> None:
        served = self._served.get(model)
        if served is None or served.version_short != version:
            self._rows.pop((model, version), None)
            for series in (self._requests, self._calls):
                for labels in [labels for labels in list(series) if labels[:2] == (model, version)]:
                    del series[labels]

    def _request(self, model: str, version: str, outcome: str) -> Distribution:
        labels = (model, version, outcome)
        found = self._requests.get(labels)
        if found is None:
            found = self._requests[labels] = Distribution(REQUEST_BUCKETS)
        return found


def _by_model(values: Mapping[str, Any]) -> dict[tuple[str], Any]:
    return {(model,): value for model, value in list(values.items())}


def _counter(name: str, text: str, labels: list[str], counts: Mapping[Any, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=labels)
    for values, count in list(counts.items()):
        family.add_metric(values, count)
    return family


def _gauge(name: str, text: str, labels: list[str], values: Mapping[Any, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=labels)
    for place, value in list(values.items()):
        family.add_metric(place, value)
    return family


def _histogram(
    name: str, text: str, labels: list[str], values: Mapping[Any, Distribution]
) -> HistogramMetricFamily:
    family = HistogramMetricFamily(name, text, labels=labels)
    for place, distribution in list(values.items()):
        family.add_metric(place, distribution.buckets(), distribution.sum)
    return family
