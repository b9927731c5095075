"""Columns and partitions of the lake's tables; shared/stores/lake.py lists the tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

import pyarrow as pa

from shared.contracts.feature import Feature
from shared.errors import UnservableModel

FEATURE_PREFIX = "f_"
PREDICTIONS = "predictions"
OUTCOMES = "outcomes"
DEAD_LETTERS = "dead_letters"
PARTITION = "month"
LABEL = "label"
SCORE = "score"
SCORES = "scores"
VALUE = "value"
VALUES = "values"

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
# Columns that only rows of some kinds of models have: a table gets them with its first such row, and older rows hold null.
# Labels and names belong to the version, outcomes to none: outcomes hold the label's text, or each number by its name.
PREDICTION_OPTIONAL_COLUMNS = pa.schema(
    [pa.field(LABEL, pa.string()), pa.field(SCORES, pa.list_(pa.float32()))]
)
OUTCOME_OPTIONAL_COLUMNS = pa.schema(
    [pa.field(LABEL, pa.string()), pa.field(VALUES, pa.map_(pa.string(), pa.float64()))]
)
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


# The type a feature's column gets from the first rows with a value; it stays that type.
FEATURE_TYPES = {
    "number": pa.float64(),
    "integer": pa.int64(),
    "boolean": pa.bool_(),
    "category": pa.string(),
    "text": pa.string(),
    "timestamp": TIMESTAMP,
    "tensor": pa.list_(pa.float32()),
}


def type_family(kind: pa.DataType) -> str:
    """A name shared by types that differ only in their Arrow layout."""
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return "string"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return f"list of {kind.value_type}"
    return str(kind)


def check_columns(features: Iterable[Feature], known: Mapping[str, pa.DataType]) -> None:
    """Raises UnservableModel that names the first feature whose rows would become dead letters.

    `known`: the types that features have in the lake, by name. A feature that is not known gets a new column.
    """
    spelled = {name.casefold(): name for name in known}
    for feature in features:
        name, wanted = feature.name, FEATURE_TYPES[feature.type]
        before = spelled.get(name.casefold(), name)
        if before != name:
            raise UnservableModel(
                f"feature {name} differs only in case from {before}, which the prediction log has",
                hint=f"name it {before}, or give it another name",
            )
        kind = known.get(name, wanted)
        if not pa.types.is_null(kind) and type_family(kind) != type_family(wanted):
            raise UnservableModel(
                f"feature {name} is of type {feature.type} ({wanted}), but the prediction log has it as {kind}",
                hint=f"keep the feature's type, or give the new feature another name, such as {name}_{feature.type}",
            )


def feature_column(name: str) -> str:
    """The lake's column of a feature."""
    return FEATURE_PREFIX + name


def partition_of(time: datetime) -> str:
    """The partition of a row with that time (UTC). Years have four digits, so partitions sort by time."""
    return f"{time.year:04d}-{time.month:02d}"
