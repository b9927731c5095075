"""The metrics of the drift service. Labels are bounded by the loop's features, five states and few methods."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from services.drift.outcome_readiness import Watermarks
from shared.contracts.verdict import SCHEDULED, State, Verdict

STATES: tuple[State, ...] = get_args(State)
RESULTS = ("sent", "dropped", "refused")


class DriftMetrics:
    """All series of the service, on `registry`. A gauge never holds NaN: an unknown value has no sample.

    `attest` returns the MAC by which retraining recognises a verdict in an alert.
    """

    def __init__(self, registry: CollectorRegistry, attest: Callable[[Verdict], str] = lambda _: "") -> None:
        self.registry = registry
        self._attest = attest
        score = ("model", "signal", "feature", "method")
        self._score = Gauge(
            "homeostat_drift_score",
            "Value of a score in the last evaluated window, in the method's unit.",
            score,
            registry=registry,
        )
        self._threshold = Gauge(
            "homeostat_drift_threshold",
            "Threshold of homeostat_drift_score: tolerance plus the quantile of its null distribution.",
            score,
            registry=registry,
        )
        self._state = Gauge(
            "homeostat_drift_state",
            "1 for the state of the last evaluated window, 0 for the others.",
            ("model", "state"),
            registry=registry,
        )
        self._verdicts = Counter(
            "homeostat_drift_verdicts_total",
            "Verdicts, by detector and state.",
            ("model", "detector", "state"),
            registry=registry,
        )
        self._rows = Gauge(
            "homeostat_drift_window_rows", "Rows in the last evaluated window.", ("model",), registry=registry
        )
        self._coverage = Gauge(
            "homeostat_drift_outcome_coverage_ratio",
            "Share of the last evaluated window's rows whose outcome is known.",
            ("model",),
            registry=registry,
        )
        self._lag = Gauge(
            "homeostat_drift_outcome_lag_seconds",
            "Event time between the newest outcome and the newest prediction in the lake.",
            ("model",),
            registry=registry,
        )
        self._watermark = Gauge(
            "homeostat_drift_watermark_timestamp_seconds",
            "Event time of the newest prediction in the lake at the last poll.",
            ("model",),
            registry=registry,
        )
        self._evaluated = Gauge(
            "homeostat_drift_evaluated_until_timestamp_seconds",
            "Event time at which the last evaluated window ends.",
            ("model",),
            registry=registry,
        )
        self._loss = Gauge(
            "homeostat_drift_loss",
            "Realised loss of the last evaluated window, in the model's metric.",
            ("model",),
            registry=registry,
        )
        self._reference_loss = Gauge(
            "homeostat_drift_reference_loss",
            "Loss of the version on its reference.",
            ("model",),
            registry=registry,
        )
        self.evaluation_seconds = Histogram(
            "homeostat_drift_evaluation_seconds",
            "Time to read and evaluate one window.",
            ("model",),
            registry=registry,
            buckets=(0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
        )
        self._last_verdict = Gauge(
            "homeostat_drift_last_verdict_timestamp_seconds",
            "Time of the last verdict that was scheduled, not requested, in seconds since 1970 by this machine's clock.",
            ("model",),
            registry=registry,
        )
        self._last_full_poll = Gauge(
            "homeostat_drift_last_full_poll_timestamp_seconds",
            "Start of the last poll that evaluated every ready window, in seconds since 1970 by this machine's clock.",
            ("model",),
            registry=registry,
        )
        self._last_verdict_info = Gauge(
            "homeostat_drift_last_verdict_info",
            "1 for the last verdict of a scheduled evaluation, with its version and drift's MAC: one series per model.",
            ("model", "verdict_id", "detector", "state", "version", "mac"),
            registry=registry,
        )
        self.verdict_delay = Histogram(
            "homeostat_drift_verdict_delay_seconds",
            "Time from the first poll that saw the window complete until its verdict was stored.",
            ("model",),
            registry=registry,
            buckets=(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0),
        )
        self._annotations = Counter(
            "homeostat_drift_annotations_total",
            "Annotations for Grafana; result is sent, dropped (queue full, or retries exhausted) or refused (by Grafana).",
            ("result",),
            registry=registry,
        )
        for result in RESULTS:
            self._annotations.labels(result)
        self.unpublished = Gauge(
            "homeostat_drift_unpublished_verdicts",
            "Stored verdicts that are not yet published.",
            registry=registry,
        )
        self.failures = Counter(
            "homeostat_drift_failures_total",
            "Polls of a model that ended in an error.",
            ("model",),
            registry=registry,
        )
        self._outcome_faults = Counter(
            "homeostat_drift_outcome_faults_total",
            "Outcomes in evaluated windows that are early (observed over a day before the event; ignored) or contradicting "
            "(they differ from another one of the prediction; the last received counts).",
            ("model", "fault"),
            registry=registry,
        )
        self._shown: dict[str, set[tuple[str, str, str, str]]] = {}
        self._shown_verdict: dict[str, tuple[str, ...]] = {}

    def warming_up(self, model: str) -> None:
        """Export a model that has no verdict yet."""
        self._show_state(model, "warming_up")

    def progress(self, model: str, watermarks: Watermarks) -> None:
        """Export the watermarks of the lake."""
        if watermarks.predictions is not None:
            self._watermark.labels(model).set(watermarks.predictions.timestamp())
            if watermarks.outcomes is not None:
                lag = (watermarks.predictions - watermarks.outcomes).total_seconds()
                self._lag.labels(model).set(max(0.0, lag))

    def last_full_poll(self, model: str, at: datetime) -> None:
        """Record a poll, started `at` that time, that evaluated every ready window."""
        self._last_full_poll.labels(model).set(at.timestamp())

    def outcome_faults(self, model: str, fault: str, count: int) -> None:
        """Count outcomes with a fault."""
        self._outcome_faults.labels(model, fault).inc(count)

    def annotated(self, result: str) -> None:
        """Count an annotation by its result."""
        self._annotations.labels(result).inc()

    def reached(self, verdict: Verdict) -> None:
        """Count a verdict; one of an evaluation also sets the gauges."""
        self._verdicts.labels(verdict.model, verdict.detector, verdict.state).inc()
        if verdict.detector in SCHEDULED:
            self.show(verdict)
        elif verdict.detector == "stream":
            # The next window says how things are then; until it closes this is the newest that is known.
            self._show_state(verdict.model, verdict.state)
            self._show_verdict(verdict)

    def show(self, verdict: Verdict) -> None:
        """Set the gauges from this verdict, after a restart also before the next window is evaluated."""
        model = verdict.model
        self._show_state(model, verdict.state)
        self._show_verdict(verdict)
        self._rows.labels(model).set(verdict.rows)
        self._evaluated.labels(model).set(verdict.window_end.timestamp())
        coverage = verdict.outcomes / verdict.rows if verdict.rows else None
        _show_or_remove(self._coverage, model, coverage)
        _show_or_remove(self._loss, model, verdict.loss)
        _show_or_remove(self._reference_loss, model, verdict.reference_loss)
        shown: set[tuple[str, str, str, str]] = {
            (model, score.signal, score.feature, score.method) for score in verdict.scores
        }
        for gone in self._shown.get(model, set()) - shown:
            self._score.remove(*gone)
            self._threshold.remove(*gone)
        self._shown[model] = shown
        for score in verdict.scores:
            labels = (model, score.signal, score.feature, score.method)
            self._score.labels(*labels).set(score.value)
            self._threshold.labels(*labels).set(score.threshold)

    def _show_verdict(self, verdict: Verdict) -> None:
        """The old series is removed before the new one is set: an alert's query must never find two."""
        labels = (
            *(verdict.model, verdict.verdict_id, verdict.detector, verdict.state, verdict.version),
            self._attest(verdict),
        )
        shown = self._shown_verdict.get(verdict.model)
        if shown is not None and shown != labels:
            self._last_verdict_info.remove(*shown)
        self._shown_verdict[verdict.model] = labels
        self._last_verdict_info.labels(*labels).set(1)
        self._last_verdict.labels(verdict.model).set(verdict.reached_at.timestamp())

    def _show_state(self, model: str, state: State) -> None:
        for each in STATES:
            self._state.labels(model, each).set(1 if each == state else 0)


def _show_or_remove(gauge: Gauge, model: str, value: float | None) -> None:
    """A value that the last window lacks has no series, rather than that of an earlier window."""
    if value is not None and math.isfinite(value):
        gauge.labels(model).set(value)
        return
    with suppress(KeyError):
        gauge.remove(model)
