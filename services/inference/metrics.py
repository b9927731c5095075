"""Metrics of the inference service.

Kept as plain numbers and turned into series at each scrape: counting costs about a microsecond per request.
(BentoML puts prometheus-client into its multi-process mode before our code is imported; its own counters would write
every sample to a file.)
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from services.inference.histogram import CALL_BUCKETS, REQUEST_BUCKETS, ROW_BUCKETS, Histogram
from services.inference.metric_families import by_model, counter, gauge, histogram
from services.inference.models.metrics import ReleaseMetrics
from services.inference.models.servable import Servable


class InferenceMetrics(Collector):
    """Requests, model calls and outcomes, counted on the server's event loop. `releases`: what is served."""

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        maximum_in_flight: int = 0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`maximum_in_flight`: the limit of concurrent requests, to be shown beside their number."""
        self.registry = registry
        self.in_flight = 0
        self.maximum_in_flight = maximum_in_flight
        self._clock = clock
        self._device: tuple[str, str] | None = None
        self._requests: dict[tuple[str, str, str], Histogram] = {}
        self._rows: Counter[tuple[str, str]] = Counter()
        self._batches: dict[str, Histogram] = {}
        self._calls: dict[tuple[str, str, str], Histogram] = {}
        self._waits: dict[str, Histogram] = {}
        self._waited: dict[tuple[str, str], float] = {}
        self._last_predictions: dict[str, float] = {}
        self._errors: Counter[str] = Counter()
        self._outcomes: Counter[str] = Counter()
        self._calls_queued: Callable[[], int] = lambda: 0
        registry.register(self)
        self.releases = ReleaseMetrics(registry, forget=self._forget)

    def answered(self, servable: Servable, rows: int, seconds: float) -> None:
        """A request was answered."""
        self.answered_together(servable, (rows,), (seconds,))

    def answered_together(self, servable: Servable, rows: Sequence[int], seconds: Sequence[float]) -> None:
        """Requests were answered: rows of each, and seconds."""
        request = self._request(servable.model, servable.version_short, "answered")
        batch = self._batches.get(servable.model)
        if batch is None:
            batch = self._batches[servable.model] = Histogram(ROW_BUCKETS)
        request.observe_all(seconds)
        batch.observe_all(rows)
        self._rows[servable.model, servable.version_short] += sum(rows)
        self._last_predictions[servable.model] = self._clock()

    def scored(self, servable: Servable, rows: int) -> None:
        """Rows of a file were answered; they belong to no request."""
        self._rows[servable.model, servable.version_short] += rows
        self._last_predictions[servable.model] = self._clock()

    def called(self, servable: Servable, *, waited: float, seconds: float) -> None:
        """The model was called: `waited` until a thread began the call, `seconds` inside it."""
        self.called_together(servable, ((waited, seconds),))

    def called_together(self, servable: Servable, calls: Sequence[tuple[float, float]]) -> None:
        """The model was called several times: seconds until each call began, and inside it."""
        labels = (servable.model, servable.version_short, servable.device)
        call = self._calls.get(labels)
        if call is None:
            call = self._calls[labels] = Histogram(CALL_BUCKETS)
        wait = self._waits.get(servable.model)
        if wait is None:
            wait = self._waits[servable.model] = Histogram(CALL_BUCKETS)
        for waited, seconds in calls:
            call.observe(seconds)
            wait.observe(waited)
        self._waited[labels[:2]] = self._waited.get(labels[:2], 0.0) + sum(waited for waited, _ in calls)

    def failed(self, servable: Servable | None, outcome: str, status: int, seconds: float) -> None:
        """A request got an error: `refused` (client error, 4xx) or `failed` (server error)."""
        model, version = (servable.model, servable.version_short) if servable is not None else ("", "")
        self._request(model, version, outcome).observe(seconds)
        self._errors[str(status)] += 1

    def no_access(self, status: int) -> None:
        """A request was refused before it was read: no valid credentials (401), no permission (403), or too many (429)."""
        self._errors[str(status)] += 1

    def outcomes(self, model: str, count: int) -> None:
        """Outcomes were accepted."""
        self._outcomes[model] += count

    def watch_queue(self, queued: Callable[[], int]) -> None:
        """Set the source of the number of queued calls."""
        self._calls_queued = queued

    def runs_on(self, device: str, reason: str) -> None:
        """Set the device of this process and the reason for it."""
        self._device = (device, reason)

    # For the status page and the statistics of the Open Inference Protocol

    def calls_queued(self) -> int:
        """Calls waiting for a thread."""
        return self._calls_queued()

    def last_predictions(self) -> Mapping[str, float]:
        """Time of each model's last prediction, in seconds since 1970."""
        return dict(self._last_predictions)

    def seconds_in_queue(self, servable: Servable) -> float:
        """Seconds that the calls of a version waited, in all."""
        return self._waited.get((servable.model, servable.version_short), 0.0)

    def requests_by_outcome(self) -> dict[str, Counter[str]]:
        """Requests by model (empty if unknown) and outcome, without versions whose series were dropped."""
        found: dict[str, Counter[str]] = {}
        for (model, _, outcome), series in list(self._requests.items()):
            found.setdefault(model, Counter())[outcome] += series.count()
        return found

    def errors_by_status(self) -> dict[str, int]:
        """Requests with an error response, by HTTP status."""
        return dict(sorted(self._errors.items()))

    def collect(self) -> Iterable[Metric]:
        """All series. Copies each mapping first: the poller's thread may change it during a scrape."""
        yield from self._collect_requests()
        yield from self._collect_calls()

    def _collect_requests(self) -> Iterable[Metric]:
        yield histogram(
            "homeostat_inference_request_duration_seconds",
            "Time from the complete request body to the response; outcome: answered, refused (client) or failed (server).",
            ["model", "version", "outcome"],
            self._requests,
        )
        yield counter("homeostat_inference_rows", "Rows predicted.", ["model", "version"], self._rows)
        yield histogram(
            "homeostat_inference_batch_rows",
            "Rows per successful request.",
            ["model"],
            by_model(self._batches),
        )
        errors = {(status,): count for status, count in list(self._errors.items())}
        yield counter(
            "homeostat_inference_errors",
            "Requests with an error response, by HTTP status.",
            ["status"],
            errors,
        )
        yield counter(
            "homeostat_inference_outcomes", "Outcomes accepted.", ["model"], by_model(self._outcomes)
        )
        yield gauge(
            "homeostat_inference_last_prediction_timestamp_seconds",
            "Time of the model's last prediction, in seconds since 1970; absent before the first one.",
            ["model"],
            by_model(self._last_predictions),
        )
        yield GaugeMetricFamily(
            "homeostat_inference_requests_in_flight", "Requests in progress.", self.in_flight
        )
        yield GaugeMetricFamily(
            "homeostat_inference_requests_in_flight_limit",
            "Maximum number of concurrent requests; further ones get 503. Of several workers the sum.",
            self.maximum_in_flight,
        )

    def _collect_calls(self) -> Iterable[Metric]:
        yield histogram(
            "homeostat_inference_call_duration_seconds",
            "Duration of one model call in its runtime, including failed calls; several requests may share a call.",
            ["model", "version", "device"],
            self._calls,
        )
        yield histogram(
            "homeostat_inference_queue_duration_seconds",
            "Time a model call waited for a thread, or for its turn on the event loop.",
            ["model"],
            by_model(self._waits),
        )
        yield GaugeMetricFamily(
            "homeostat_inference_calls_queued", "Model calls waiting for a thread.", self._calls_queued()
        )
        yield gauge(
            "homeostat_inference_device_info",
            "1 for the device in use, with the reason for the choice.",
            ["device", "reason"],
            {self._device: 1} if self._device else {},
        )

    def _forget(self, model: str, version: str) -> None:
        self._rows.pop((model, version), None)
        self._waited.pop((model, version), None)
        for series in (self._requests, self._calls):
            for labels in [labels for labels in list(series) if labels[:2] == (model, version)]:
                del series[labels]

    def _request(self, model: str, version: str, outcome: str) -> Histogram:
        labels = (model, version, outcome)
        found = self._requests.get(labels)
        if found is None:
            found = self._requests[labels] = Histogram(REQUEST_BUCKETS)
        return found
