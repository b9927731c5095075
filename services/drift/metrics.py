"""The metrics of the drift service. Labels are bounded by the loop's features, five states and few methods."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from services.drift.contradicting_senders import ContradictingSenders
from services.drift.model_state import STATES, ModelStateName, clock_of, is_newer, worst
from services.drift.outcome_readiness import Watermarks
from services.drift.performance_gauges import PerformanceGauges, show_or_remove
from services.drift.sharing.model_series import forget_model
from shared.contracts.verdict import SCHEDULED, Detector, Verdict

RESULTS = ("sent", "dropped", "refused")


class DriftMetrics:
    """All series of the service, on `registry`. A gauge never holds NaN: an unknown value has no sample.

    `attest` returns the MAC by which retraining recognises a verdict in an alert.
    """

    def __init__(self, registry: CollectorRegistry, attest: Callable[[Verdict], str] = lambda _: "") -> None:
        self.registry = registry
        self._attest = attest
        score = ("model", "signal", "feature", "method", "slice")
        self._score = Gauge(
            "homeostat_drift_score",
            "Value of a score in the last evaluated window, in the method's unit. `slice` is empty for all rows.",
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
            "1 for the worst state of the model's detectors, 0 for the others.",
            ("model", "state"),
            registry=registry,
        )
        self._detector_state = Gauge(
            "homeostat_drift_detector_state",
            "1 for the state of a detector's last verdict, else 0; performance is not_judged while outcomes are overdue.",
            ("model", "detector", "state"),
            registry=registry,
        )
        self._revisions = Counter(
            "homeostat_drift_revisions_total",
            "Verdicts changed by late or corrected outcomes, by new state.",
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
            "Share of rows whose outcome is known, in the last window whose performance was judged.",
            ("model",),
            registry=registry,
        )
        self._lag = Gauge(
            "homeostat_drift_outcome_lag_seconds",
            "Median time from an event to the observation of its outcome, in the last window whose performance was judged.",
            ("model",),
            registry=registry,
        )
        self._last_observed = Gauge(
            "homeostat_drift_outcomes_last_observed_timestamp_seconds",
            "Latest observation of an outcome in the lake, in seconds since 1970.",
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
            "Event time of the end of the last window that a detector has evaluated.",
            ("model", "detector"),
            registry=registry,
        )
        self._loss = Gauge(
            "homeostat_drift_loss",
            "Realised loss of the last window whose performance was judged, in the model's metric.",
            ("model",),
            registry=registry,
        )
        self._estimated_loss = Gauge(
            "homeostat_drift_estimated_loss",
            "Loss of the last closed window, estimated from inputs and answers without outcomes.",
            ("model",),
            registry=registry,
        )
        self._reference_loss = Gauge(
            "homeostat_drift_reference_loss",
            "Loss of the version on its reference.",
            ("model",),
            registry=registry,
        )
        self._performance = PerformanceGauges(registry)
        self.error_evidence = Gauge(
            "homeostat_drift_error_evidence_ratio",
            "Evidence that the loss has risen, added up over judged windows, relative to its threshold: an alarm is raised at 1.",
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
            "1 for the last verdict of a scheduled detector, with version and drift's MAC: one series per model and detector.",
            ("model", "verdict_id", "detector", "state", "version", "mac"),
            registry=registry,
        )
        self.verdict_delay = Histogram(
            "homeostat_drift_verdict_delay_seconds",
            "Time from the first poll that saw the window due until its verdict was stored.",
            ("model", "detector"),
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
        self.shards = Gauge(
            "homeostat_drift_owned_shards",
            "Shards of models that this process judges, out of 8; processes that share the models own 8 together.",
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
        self.senders = ContradictingSenders(registry)
        self._states: dict[str, dict[str, ModelStateName]] = {}
        self._shown: dict[tuple[str, str], set[tuple[str, str, str, str, str]]] = {}
        self._shown_verdict: dict[tuple[str, str], tuple[str, ...]] = {}
        self._last: dict[tuple[str, str], Verdict] = {}
        self._alarms: dict[tuple[str, str], Verdict] = {}

    def detector_state(self, model: str, detector: Detector, state: ModelStateName) -> None:
        """Export the state of a detector, and the worst one as the model's."""
        states = self._states.setdefault(model, {})
        states[detector] = state
        overall = worst(states.values())
        for each in STATES:
            self._detector_state.labels(model, detector, each).set(1 if each == state else 0)
            self._state.labels(model, each).set(1 if each == overall else 0)

    def forget(self, model: str) -> None:
        """Remove everything about a model that another process judges from now on."""
        forget_model(
            [*vars(self).values(), *vars(self._performance).values(), *vars(self.senders).values()], model
        )
        self._states.pop(model, None)
        for kept in (self._shown, self._shown_verdict, self._last, self._alarms):
            for clock in [clock for clock in kept if clock[0] == model]:
                kept.pop(clock)

    def progress(self, model: str, watermarks: Watermarks) -> None:
        """Export the watermarks of the lake."""
        if watermarks.predictions is not None:
            self._watermark.labels(model).set(watermarks.predictions.timestamp())
            if watermarks.outcomes is not None:
                self._last_observed.labels(model).set(watermarks.outcomes.timestamp())

    def last_full_poll(self, model: str, at: datetime) -> None:
        """Record a poll, started `at` that time, that evaluated every ready window."""
        self._last_full_poll.labels(model).set(at.timestamp())

    def outcome_faults(self, model: str, fault: str, count: int) -> None:
        """Count outcomes with a fault."""
        self._outcome_faults.labels(model, fault).inc(count)

    def annotated(self, result: str) -> None:
        """Count an annotation by its result."""
        self._annotations.labels(result).inc()

    def revised(self, verdict: Verdict) -> None:
        """Count a revision."""
        self._revisions.labels(verdict.model, verdict.state).inc()

    def reached(self, verdict: Verdict) -> None:
        """Count a verdict; the last one of a scheduled detector also sets the gauges, and an alarm after the last window does.

        Examining an alarm takes time: its window may have closed meanwhile, and then that verdict is the newer one.
        """
        self._verdicts.labels(verdict.model, verdict.detector, verdict.state).inc()
        if verdict.detector in SCHEDULED:
            last = self._last.get((verdict.model, verdict.detector))
            if last is None or verdict.window_end >= last.window_end:
                self.show(verdict)
        elif verdict.detector == "stream":
            clock = (verdict.model, clock_of(verdict))
            alarm = self._alarms.get(clock)
            later = alarm is None or verdict.window_end >= alarm.window_end
            if later and is_newer(verdict, self._last.get(clock)):
                self.show_alarm(verdict)

    def show_alarm(self, verdict: Verdict) -> None:
        """Export an alarm between windows, until the next verdict of its clock."""
        self._alarms[verdict.model, clock_of(verdict)] = verdict
        self.detector_state(verdict.model, "stream", verdict.state)
        self._show_verdict(verdict)

    def show(self, verdict: Verdict) -> None:
        """Set the gauges from this verdict, after a restart also before the next window is evaluated."""
        model = verdict.model
        clock = (model, verdict.detector)
        self._last[clock] = verdict
        self._show_verdict(verdict)
        alarm = self._alarms.get(clock)
        if alarm is not None and not is_newer(alarm, verdict):
            self._end_alarm(clock)
        self._evaluated.labels(*clock).set(verdict.window_end.timestamp())
        if verdict.detector == "inputs":
            self._rows.labels(model).set(verdict.rows)
            show_or_remove(self._estimated_loss, model, value=verdict.estimated_loss)
        else:
            show_or_remove(self._coverage, model, value=verdict.coverage)
            show_or_remove(self._lag, model, value=verdict.outcome_lag_seconds)
            show_or_remove(self._loss, model, value=verdict.loss)
            show_or_remove(self._reference_loss, model, value=verdict.reference_loss)
            self._performance.show(verdict)
        shown: set[tuple[str, str, str, str, str]] = {
            (model, score.signal, score.feature, score.method, score.slice) for score in verdict.scores
        }
        for gone in self._shown.get(clock, set()) - shown:
            self._score.remove(*gone)
            self._threshold.remove(*gone)
        self._shown[clock] = shown
        for score in verdict.scores:
            labels = (model, score.signal, score.feature, score.method, score.slice)
            self._score.labels(*labels).set(score.value)
            self._threshold.labels(*labels).set(score.threshold)

    def _end_alarm(self, clock: tuple[str, str]) -> None:
        """The alarm's clock has a newer verdict; that of the other clock may have an alarm of its own."""
        del self._alarms[clock]
        model = clock[0]
        for each in SCHEDULED:
            if (model, each) in self._alarms:
                self.show_alarm(self._alarms[model, each])
                return
        self.detector_state(model, "stream", "ok")
        shown = self._shown_verdict.pop((model, "stream"), None)
        if shown is not None:
            self._last_verdict_info.remove(*shown)

    def _show_verdict(self, verdict: Verdict) -> None:
        """The old series is removed before the new one is set: an alert's query must never find two."""
        labels = (
            *(verdict.model, verdict.verdict_id, verdict.detector, verdict.state, verdict.version),
            self._attest(verdict),
        )
        clock = (verdict.model, verdict.detector)
        shown = self._shown_verdict.get(clock)
        if shown is not None and shown != labels:
            self._last_verdict_info.remove(*shown)
        self._shown_verdict[clock] = labels
        self._last_verdict_info.labels(*labels).set(1)
        self._last_verdict.labels(verdict.model).set(verdict.reached_at.timestamp())
