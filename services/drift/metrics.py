"""What drift shows to Prometheus. Labels are bounded by the loop's features, five states and few methods."""

from __future__ import annotations

import math
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from services.drift.windows import Watermarks
from shared.contracts.verdict import State, Verdict

STATES: tuple[State, ...] = get_args(State)


class DriftMetrics:
    """All series of the service, on `registry`. A gauge never holds NaN: what is not known has no sample."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        score = ("model", "signal", "feature", "method")
        self._score = Gauge(
            "homeostat_drift_score",
            "Value of a score in the last judged window, in the method's unit.",
            score,
            registry=registry,
        )
        self._threshold = Gauge(
            "homeostat_drift_threshold",
            "Threshold of that score: tolerance plus what chance allows.",
            score,
            registry=registry,
        )
        self._state = Gauge(
            "homeostat_drift_state",
            "1 for the state of the last judged window, 0 for the others.",
            ("model", "state"),
            registry=registry,
        )
        self._verdicts = Counter(
            "homeostat_drift_verdicts_total",
            "Verdicts reached.",
            ("model", "detector", "state"),
            registry=registry,
        )
        self._rows = Gauge(
            "homeostat_drift_window_rows", "Rows in the last judged window.", ("model",), registry=registry
        )
        self._coverage = Gauge(
            "homeostat_drift_outcome_coverage_ratio",
            "Share of the last judged window's rows whose outcome is known.",
            ("model",),
            registry=registry,
        )
        self._lag = Gauge(
            "homeostat_drift_outcome_lag_seconds",
            "Event time by which outcomes trail predictions in the lake.",
            ("model",),
            registry=registry,
        )
        self._watermark = Gauge(
            "homeostat_drift_watermark_timestamp_seconds",
            "Event time up to which the lake was looked through.",
            ("model",),
            registry=registry,
        )
        self._examined = Gauge(
            "homeostat_drift_examined_until_timestamp_seconds",
            "Event time at which the last judged window ends.",
            ("model",),
            registry=registry,
        )
        self._loss = Gauge(
            "homeostat_drift_loss",
            "Realised loss of the last judged window, in the model's metric.",
            ("model",),
            registry=registry,
        )
        self._reference_loss = Gauge(
            "homeostat_drift_reference_loss",
            "Loss of the reference it is held against.",
            ("model",),
            registry=registry,
        )
        self.examination_seconds = Histogram(
            "homeostat_drift_examination_seconds",
            "Time to read and judge one window.",
            ("model",),
            registry=registry,
            buckets=(0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
        )
        self.unpublished = Gauge(
            "homeostat_drift_unpublished_verdicts",
            "Verdicts stored here that the topic does not have yet.",
            registry=registry,
        )
        self.failures = Counter(
            "homeostat_drift_failures_total",
            "Looks at a model that ended in an error.",
            ("model",),
            registry=registry,
        )
        self._shown: dict[str, set[tuple[str, str, str, str]]] = {}

    def warming(self, model: str) -> None:
        """Show a model that has no verdict yet."""
        self._show_state(model, "warming")

    def progress(self, model: str, watermarks: Watermarks) -> None:
        """Show how far the lake is."""
        if watermarks.predictions is not None:
            self._watermark.labels(model).set(watermarks.predictions.timestamp())
            if watermarks.outcomes is not None:
                lag = (watermarks.predictions - watermarks.outcomes).total_seconds()
                self._lag.labels(model).set(max(0.0, lag))

    def reached(self, verdict: Verdict) -> None:
        """Count a verdict; an examination also becomes what the gauges show."""
        self._verdicts.labels(verdict.model, verdict.detector, verdict.state).inc()
        if verdict.detector == "examination":
            self.show(verdict)

    def show(self, verdict: Verdict) -> None:
        """Let the gauges show this verdict: after a restart they do so before the next window is judged."""
        model = verdict.model
        self._show_state(model, verdict.state)
        self._rows.labels(model).set(verdict.rows)
        self._examined.labels(model).set(verdict.window_end.timestamp())
        if verdict.rows:
            self._coverage.labels(model).set(verdict.outcomes / verdict.rows)
        for gauge, value in ((self._loss, verdict.loss), (self._reference_loss, verdict.reference_loss)):
            if value is not None and math.isfinite(value):
                gauge.labels(model).set(value)
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

    def _show_state(self, model: str, state: State) -> None:
        for each in STATES:
            self._state.labels(model, each).set(1 if each == state else 0)
