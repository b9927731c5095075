"""Metrics of how far the lake is behind: records that are not read yet, and the time of the newest row."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from services.prediction_log.metrics import SinkMetrics
from services.prediction_log.sink.table_writer import Prepared
from shared.contracts.lake_schema import SOURCE
from shared.contracts.topics import DEAD_LETTERS, OUTCOMES, PREDICTIONS
from shared.messaging.interfaces import Consumer
from shared.observability.logs import get_logger

_log = get_logger(__name__)
TOPICS = (PREDICTIONS.name, OUTCOMES.name, DEAD_LETTERS.name)


class Progress:
    """Updates these metrics of a sink."""

    def __init__(self, metrics: SinkMetrics) -> None:
        self._metrics = metrics
        self._newest: dict[tuple[str, str], datetime] = {}

    def update_lag(self, consumer: Consumer) -> None:
        """The records of each topic that are not read yet."""
        lags = dict.fromkeys(TOPICS, 0)
        for partition, lag in consumer.lag().items():
            lags[partition.topic] += lag
        for topic, lag in lags.items():
            self._metrics.lag.labels(topic).set(lag)

    def count(self, kind: str, model: str, prepared: Prepared, rows: int) -> None:
        """What a commit of `rows` rows has done."""
        self._metrics.rows.labels(kind, model).inc(rows)
        self._metrics.repeats.labels(kind, model).inc(prepared.repeats)
        self._metrics.missing.labels(kind, model).inc(prepared.missing)
        if prepared.missing:
            _log.warning("rows_missing", kind=kind, model=model, rows=prepared.missing)
        far_off = prepared.far_off
        for side, count in (("ahead", far_off.ahead), ("behind", far_off.behind)):
            self._metrics.far_off.labels(kind, model, side).inc(count)
        if far_off.example:
            _log.warning(
                "times_far_off",
                kind=kind,
                model=model,
                ahead=far_off.ahead,
                behind=far_off.behind,
                first=far_off.example,
            )
        if prepared.rows is not None and prepared.rows.num_rows:
            self._update_freshness(kind, model, prepared.rows)

    def _update_freshness(self, kind: str, model: str, rows: pa.Table) -> None:
        """The delay of the oldest row of a commit, and the time of the newest row in the lake."""
        if SOURCE in rows.column_names:
            rows = rows.filter(pc.is_null(rows[SOURCE]))  # what was imported says nothing about delays
            if not rows.num_rows:
                return
        now = datetime.now(UTC)
        span = pc.min_max(rows["answered_at" if kind == "predictions" else "received_at"]).as_py()
        self._metrics.freshness.observe(max(0.0, (now - span["min"]).total_seconds()))
        # A row dated in the future must not hide that no more rows arrive.
        newest = min(span["max"], now)
        newest = max(newest, self._newest.get((kind, model), newest))
        self._newest[kind, model] = newest
        self._metrics.last_row.labels(kind, model).set(newest.timestamp())
