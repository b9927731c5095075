"""Columns and partitions of the lake's tables; shared/stores/lake.py lists the tables."""

from __future__ import annotations

from datetime import datetime

import pyarrow as pa

FEATURE_PREFIX = "f_"
PREDICTIONS = "predictions"
OUTCOMES = "outcomes"
DEAD_LETTERS = "dead_letters"
PARTITION = "month"
LABEL = "label"
SCORE = "score"
SCORES = "scores"

TIMESTAMP = pa.timestamp("us", tz="UTC")
PREDICTION_COLUMNS = pa.schema(
    [
        pa.field("prediction_id", pa.string(), nullable=False),
        pa.field("version", pa.string(), nullable=False),
        pa.field("generation", pa.int64(), nullable=False),
        pa.field("event_time", TIMESTAMP, nullable=False),
        pa.field("answered_at", TIMESTAMP, nullable=False),
        pa.field("writer", pa.string(), nullable=False),
        pa.field("epoch", pa.int64(), nullable=False),
        pa.field("sequence", pa.int64(), nullable=False),
        pa.field("score", pa.float64()),
        pa.field("traceparent", pa.string()),
    ]
)
OUTCOME_COLUMNS = pa.schema(
    [
        pa.field("prediction_id", pa.string(), nullable=False),
        pa.field("value", pa.float64()),
        pa.field("observed_at", TIMESTAMP, nullable=False),
        pa.field("received_at", TIMESTAMP, nullable=False),
        pa.field("writer", pa.string(), nullable=False),
        pa.field("epoch", pa.int64(), nullable=False),
        pa.field("sequence", pa.int64(), nullable=False),
        pa.field("traceparent", pa.string()),
    ]
)
# Columns that only the rows of a model with classes have: a table gets them with its first such row, and older rows hold null.
PREDICTION_CLASS_COLUMNS = pa.schema([pa.field(LABEL, pa.string()), pa.field(SCORES, pa.list_(pa.float32()))])
OUTCOME_CLASS_COLUMNS = pa.schema([pa.field(LABEL, pa.string())])
DEAD_LETTER_COLUMNS = pa.schema(
    [
        pa.field("refused_at", TIMESTAMP, nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("detail", pa.string()),
        pa.field("origin", pa.string()),
        pa.field("origin_topic", pa.string(), nullable=False),
        pa.field("origin_partition", pa.int64(), nullable=False),
        pa.field("origin_offset", pa.int64(), nullable=False),
        pa.field("rows", pa.int64()),
        pa.field("headers", pa.string()),
        pa.field("value", pa.binary()),
    ]
)


def feature_column(name: str) -> str:
    """The lake's column of a feature."""
    return FEATURE_PREFIX + name


def partition_of(time: datetime) -> str:
    """The partition of a row with that time (UTC). Years have four digits, so partitions sort by time."""
    return f"{time.year:04d}-{time.month:02d}"
