"""What shipper and sink count. Each gets a registry handed over; nothing is global."""

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
            "Rounds that failed and are sent again from the spool.",
            registry=registry,
        )
        self.dead_letters = Counter(
            "homeostat_shipper_dead_letter_rows_total",
            "Rows that can never be sent and went to the dead letters.",
            ["reason"],
            registry=registry,
        )
        self.skipped = Counter(
            "homeostat_shipper_skipped_total",
            "Torn records (never answered) and broken stretches (answered, lost) skipped on the spool.",
            ["reason"],
            registry=registry,
        )
        self.dropped_rows = Gauge(
            "homeostat_shipper_spool_dropped_rows",
            "Rows the writers on this machine had to drop at the spool's bound or because the disk refused.",
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
            "When Kafka last acknowledged rows, in seconds since 1970; NaN before the first time.",
            registry=registry,
        )
        self.last_delivery.set(math.nan)
        self.oldest_row_age = Gauge(
            "homeostat_shipper_oldest_row_age_seconds",
            "Age of the oldest row on the spool that Kafka has not acknowledged; 0 when there is none.",
            registry=registry,
        )
        self.writers = Gauge("homeostat_shipper_writers", "Writer folders followed.", registry=registry)
        self.connected = Gauge(
            "homeostat_shipper_kafka_up",
            "1 when the last round reached Kafka, 0 when it did not.",
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
            "Rows skipped because the lake has them already.",
            ["kind", "model"],
            registry=registry,
        )
        self.missing = Counter(
            "homeostat_sink_missing_rows_total",
            "Sequence numbers that never arrived: rows dropped by a writer, dead letters, or rows Kafka has lost.",
            ["kind", "model"],
            registry=registry,
        )
        self.dead_letters = Counter(
            "homeostat_sink_dead_letters_total", "Records refused, by reason.", ["reason"], registry=registry
        )
        self.lag = Gauge(
            "homeostat_sink_lag_records", "Records in Kafka not yet read.", ["topic"], registry=registry
        )
        self.freshness = Histogram(
            "homeostat_sink_freshness_seconds",
            "From the answer (or the outcome's arrival) to the lake, for the oldest row of each commit.",
            buckets=(*_SECONDS, 30, 60, 300, 3600),
            registry=registry,
        )
        self.last_row = Gauge(
            "homeostat_sink_last_row_timestamp_seconds",
            "When the newest row this sink wrote was answered, or its outcome arrived, in seconds since 1970.",
            ["kind", "model"],
            registry=registry,
        )
        self.commit_seconds = Histogram(
            "homeostat_sink_commit_seconds",
            "Time one commit of one table took.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.compactions = Counter(
            "homeostat_sink_compactions_total", "Compactions of tables.", registry=registry
        )
        self.conflicts = Counter(
            "homeostat_sink_conflicts_total",
            "Commits refused because another sink was first.",
            registry=registry,
        )
        self.failures = Counter(
            "homeostat_sink_failures_total",
            "Rounds that failed and are read again from Kafka.",
            registry=registry,
        )
