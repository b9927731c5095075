"""The metrics of stream detection. Labels are bounded by the models released, a few signals and results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from services.drift.sharing.model_series import forget_model

RESULTS: Final = (
    "counted", "repeated", "flawed", "imported", "unknown_model", "unknown_release", "no_reference", "canary",
    "too_many_generations",
    "oversize", "unauthenticated", "headers", "undecodable", "failed",
)  # fmt: skip
SIGNALS: Final = ("feature", "prediction", "data")
LATE: Final = ("counted", "left_out")
CONCLUSIONS: Final = ("confirmed", "withdrawn", "same_cause")


class StreamMetrics:
    """All series of stream detection, on `registry`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._records = Counter(
            "homeostat_drift_stream_records_total",
            "Records of the predictions topic, by result; only `counted` ones reach the detectors.",
            ("result",),
            registry=registry,
        )
        for result in RESULTS:
            self._records.labels(result)
        self._rows = Counter(
            "homeostat_drift_stream_rows_total",
            "Rows counted in tiles.",
            ("model",),
            registry=registry,
        )
        self._late = Counter(
            "homeostat_drift_stream_late_rows_total",
            "Rows whose tile was closed: `counted` in the oldest open tile, or `left_out` where they are later than a window.",
            ("model", "result"),
            registry=registry,
        )
        self._newest = Gauge(
            "homeostat_drift_stream_newest_event_timestamp_seconds",
            "Latest event time counted.",
            ("model",),
            registry=registry,
        )
        self._evidence = Gauge(
            "homeostat_drift_stream_evidence_ratio",
            "Evidence of drift after the last tile, relative to its threshold (1: alarm): the highest of all columns.",
            ("model", "signal"),
            registry=registry,
        )
        self._data = Gauge(
            "homeostat_drift_stream_faulty_values_ratio",
            "Share of missing, infinite, out-of-range, new or invalid values in the last tile: the highest of all columns.",
            ("model", "fault"),
            registry=registry,
        )
        self._alarms = Counter(
            "homeostat_drift_stream_alarms_total",
            "Alarms of the stream detectors.",
            ("model", "signal"),
            registry=registry,
        )
        self._expected = Counter(
            "homeostat_drift_stream_false_alarms_expected_total",
            "False alarms that the budget allows in the event time watched; compare them with the withdrawn alarms.",
            ("model",),
            registry=registry,
        )
        self._conclusions = Counter(
            "homeostat_drift_stream_conclusions_total",
            "Examined alarms: `confirmed` (a verdict), `withdrawn` (not confirmed) or `same_cause` (there is a verdict already).",
            ("model", "conclusion"),
            registry=registry,
        )
        self.delay = Histogram(
            "homeostat_drift_stream_event_to_metric_seconds",
            "Time from a record's Kafka timestamp until the metrics show its rows.",
            registry=registry,
            buckets=(0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0),
        )
        self.lag = Gauge(
            "homeostat_drift_stream_lag_records",
            "Records of the predictions topic that are not read yet.",
            registry=registry,
        )
        self.last_poll = Gauge(
            "homeostat_drift_stream_last_poll_timestamp_seconds",
            "Last read of the predictions topic, with or without new records, in seconds since 1970 by this machine's clock.",
            registry=registry,
        )
        self.generations = Gauge(
            "homeostat_drift_stream_generations",
            "Generations with stream detectors in memory.",
            registry=registry,
        )
        self.pending = Gauge(
            "homeostat_drift_stream_pending_suspicions",
            "Alarms that are not examined yet: their rows are not in the lake, or others are examined first.",
            registry=registry,
        )
        self.snapshot_failures = Counter(
            "homeostat_drift_stream_snapshot_failures_total",
            "Snapshots that could not be written.",
            registry=registry,
        )

    def watched(self, model: str) -> None:
        """Begin the series of a model, so that a first event is an increase."""
        for conclusion in CONCLUSIONS:
            self._conclusions.labels(model, conclusion)
        for signal in SIGNALS:
            self._alarms.labels(model, signal)
        for result in LATE:
            self._late.labels(model, result)

    def record(self, result: str) -> None:
        """Count a record by its result."""
        self._records.labels(result).inc()

    def progress(self, model: str, rows: int, newest: float) -> None:
        """Export rows counted, and the latest event time in seconds since 1970."""
        self._rows.labels(model).inc(rows)
        self._newest.labels(model).set(newest)

    def late(self, model: str, counted: int, left_out: int) -> None:
        """Count late rows."""
        for result, rows in zip(LATE, (counted, left_out), strict=True):
            self._late.labels(model, result).inc(rows)

    def tiles(
        self, model: str, expected: float, evidence: Mapping[str, float], data: Mapping[str, float]
    ) -> None:
        """Export what the last tiles showed: `evidence` by signal, `data` by kind of fault."""
        self._expected.labels(model).inc(expected)
        for signal, ratio in evidence.items():
            self._evidence.labels(model, signal).set(ratio)
        for fault, share in data.items():
            self._data.labels(model, fault).set(share)

    def alarm(self, model: str, signal: str) -> None:
        """Count an alarm."""
        self._alarms.labels(model, signal).inc()

    def concluded(self, model: str, conclusion: str) -> None:
        """Count the end of a suspicion."""
        self._conclusions.labels(model, conclusion).inc()

    def forget(self, model: str) -> None:
        """Remove the series of a model that another process watches from now on."""
        forget_model(vars(self).values(), model)
