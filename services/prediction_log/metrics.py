"""Metrics of shipper and sink, each in a registry passed to it."""

from __future__ import annotations

import math

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class ShipperMetrics:
    """Counters of the shipper."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.shipped_rows = Counter(
            "homeostat_shipper_rows_total",
            "Rows acknowledged by Kafka.",
            ["kind", "model"],
            registry=registry,
        )
        self.records = Counter(
            "homeostat_shipper_records_total", "Kafka records acknowledged.", registry=registry
        )
        self.failures = Counter(
            "homeostat_shipper_failures_total",
            "Failed attempts to send; their rows are sent again from the spool.",
            registry=registry,
        )
        self.dead_letters = Counter(
            "homeostat_shipper_dead_letter_rows_total",
            "Rows that cannot be sent to Kafka and became dead letters.",
            ["reason"],
            registry=registry,
        )
        self.skipped = Counter(
            "homeostat_shipper_skipped_total",
            "Spool data skipped: torn records (count; never answered), corrupt data (bytes) and missing segments (count).",
            ["reason"],
            registry=registry,
        )
        self.dropped_rows = Gauge(
            "homeostat_shipper_spool_dropped_rows",
            "Rows that writers on this machine dropped because the spool was full or the disk failed.",
            ["kind", "model"],
            registry=registry,
        )
        self.backlog_bytes = Gauge(
            "homeostat_shipper_backlog_bytes",
            "Bytes on the spool that Kafka has not acknowledged.",
            registry=registry,
        )
        self.last_delivery = Gauge(
            "homeostat_shipper_last_delivery_timestamp_seconds",
            "Time of the last acknowledgement by Kafka, in seconds since 1970; NaN before the first.",
            registry=registry,
        )
        self.last_delivery.set(math.nan)
        self.oldest_row_age = Gauge(
            "homeostat_shipper_oldest_row_age_seconds",
            "Age of the oldest row on the spool that Kafka has not acknowledged; 0 without one.",
            registry=registry,
        )
        self.writers = Gauge(
            "homeostat_shipper_writers",
            "Writers (inference processes) whose spool is read.",
            registry=registry,
        )
        self.connected = Gauge(
            "homeostat_shipper_kafka_up",
            "1 if the last attempt to send reached Kafka, else 0.",
            registry=registry,
        )


class SinkMetrics:
    """Counters of the sink."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.records = Counter(
            "homeostat_sink_records_total", "Kafka records read.", ["topic"], registry=registry
        )
        self.rows = Counter(
            "homeostat_sink_rows_total", "Rows written to the lake.", ["kind", "model"], registry=registry
        )
        self.repeats = Counter(
            "homeostat_sink_repeated_rows_total",
            "Repeated rows skipped because the lake already has them.",
            ["kind", "model"],
            registry=registry,
        )
        self.missing = Counter(
            "homeostat_sink_missing_rows_total",
            "Gaps in sequence numbers: rows dropped by a writer, dead letters, or rows lost by Kafka.",
            ["kind", "model"],
            registry=registry,
        )
        self.far_off = Counter(
            "homeostat_sink_far_off_rows_total",
            "Rows written whose time is more than event_time.bound from their stream: ahead (move no watermark) or behind.",
            ["kind", "model", "side"],
            registry=registry,
        )
        self.dead_letters = Counter(
            "homeostat_sink_dead_letters_total",
            "Records sent to the dead-letter topic, by reason.",
            ["reason"],
            registry=registry,
        )
        self.lag = Gauge(
            "homeostat_sink_lag_records",
            "Records in Kafka that are not read yet.",
            ["topic"],
            registry=registry,
        )
        self.freshness = Histogram(
            "homeostat_sink_freshness_seconds",
            "Age of the oldest row in each commit: time since its response, or since the outcome was received.",
            buckets=(*_SECONDS, 30, 60, 300, 3600),
            registry=registry,
        )
        self.last_row = Gauge(
            "homeostat_sink_last_row_timestamp_seconds",
            "Time at which the newest written row was answered, or its outcome received, in seconds since 1970.",
            ["kind", "model"],
            registry=registry,
        )
        self.commit_seconds = Histogram(
            "homeostat_sink_commit_seconds",
            "Duration of one commit to one table.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.compactions = Counter(
            "homeostat_sink_compactions_total", "Table compactions.", registry=registry
        )
        self.conflicts = Counter(
            "homeostat_sink_conflicts_total",
            "Commits that conflicted with a commit of another sink.",
            registry=registry,
        )
        self.failures = Counter(
            "homeostat_sink_failures_total",
            "Failed rounds (poll and commit); their records are read again from Kafka.",
            registry=registry,
        )
