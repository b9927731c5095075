"""Columns and partitions of the lake's tables; shared/stores/lake.py lists the tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from hashlib import sha256

import pyarrow as pa

from shared.contracts.feature import Feature

FEATURE_PREFIX = "f_"
PREDICTIONS = "predictions"
OUTCOMES = "outcomes"
DEAD_LETTERS = "dead_letters"
PARTITION = "month"
# The partition of rows whose time is far ahead of their stream: watermarks are read from the other partitions. It sorts last.
SET_ASIDE = "set-aside"
# Before the month, in the partition of rows that were imported. These and SET_ASIDE sort after every month of the stream.
IMPORTED_PARTITION = "imported-"
AFTER_MONTHS = ":"
LABEL = "label"
SCORE = "score"
SCORES = "scores"
SLOT = "slot"
KEY = "key"
VALUE = "value"
VALUES = "values"
SENDER = "sender"
# Where a row came from: `import`, of rows of history; null: inference has answered it, or received the outcome.
SOURCE = "source"
IMPORT = "import"
# Of an outcome: the hour in which the prediction's id was made. The sink adds it; records do not have it.
ID_HOUR = "id_hour"
# The application transaction of an outcomes table that holds until which time of receipt, in microseconds since 1970, its
# outcomes have their prediction, or became dead letters.
SETTLED = "settled/received_at"

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
# Columns that not all rows have: a table gets them with its first such row, and older rows hold null.
# `sender` is the name of the API key that posted an outcome.
# Labels and names belong to the version, outcomes to none: outcomes hold the label's text, or each number by its name.
PREDICTION_OPTIONAL_COLUMNS = pa.schema(
    [
        pa.field(LABEL, pa.string()),
        pa.field(SCORES, pa.list_(pa.float32())),
        # `canary`, of rows that a canary answered; null: the live version.
        pa.field(SLOT, pa.string()),
        # `key` of the request, as `key.personal` in loop.yaml says: the id of what the row is about.
        pa.field(KEY, pa.string()),
        pa.field(SOURCE, pa.string()),
    ]
)
OUTCOME_OPTIONAL_COLUMNS = pa.schema(
    [
        pa.field(LABEL, pa.string()),
        pa.field(VALUES, pa.map_(pa.string(), pa.float64())),
        pa.field(SENDER, pa.string()),
        pa.field(SOURCE, pa.string()),
    ]
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


# The type of a feature's column, by its type in `loop.yaml`.
FEATURE_TYPES = {
    "number": pa.float64(),
    "integer": pa.int64(),
    "boolean": pa.bool_(),
    "category": pa.string(),
    "text": pa.string(),
    "timestamp": TIMESTAMP,
    "tensor": pa.list_(pa.float32()),
}
# Between a feature's column and the type of a further column of it. No name of a feature contains it.
TYPE_SEPARATOR = "$"


def stored_type(kind: pa.DataType) -> str:
    """The name shared by column types that hold the same values: number, integer, boolean, text, timestamp or tensor.

    >>> stored_type(pa.float32()), stored_type(pa.large_string())
    ('number', 'text')
    """
    if pa.types.is_floating(kind):
        return "number"
    if pa.types.is_integer(kind):
        return "integer"
    if pa.types.is_boolean(kind):
        return "boolean"
    if pa.types.is_timestamp(kind):
        return "timestamp"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return "tensor"
    return "text"


def reads_as(before: str, now: str) -> bool:
    """Whether every value of a feature of type `before` (of `loop.yaml`, or a stored type) is one of type `now`.

    >>> reads_as("integer", "number"), reads_as("number", "integer"), reads_as("category", "text")
    (True, False, True)
    """
    texts = {"category", "text"}
    return before == now or {before, now} <= texts or (before, now) == ("integer", "number")


def storing_column(known: Mapping[str, pa.DataType], name: str, kind: pa.DataType) -> str:
    """The column that stores values of that type of a feature, given the columns `known` of the table.

    The first type of a feature gets the column `f_<name>`. Every other type gets a column of its own, so that versions with
    different types of a feature share a table. Names that differ only in case are one feature: Delta ignores case.

    >>> storing_column({}, "age", pa.int64()), storing_column({"f_age": pa.int64()}, "Age", pa.float64())
    ('f_age', 'f_age$number')
    """
    spelled = {column.casefold(): column for column in known}
    column = spelled.get(feature_column(name).casefold(), feature_column(name))
    if column not in known or stored_type(known[column]) == stored_type(kind):
        return column
    typed = f"{column}{TYPE_SEPARATOR}{stored_type(kind)}"
    return spelled.get(typed.casefold(), typed)


def feature_of(column: str) -> str:
    """The name of the feature that a column stores values of.

    >>> feature_of("f_age$number")
    'age'
    """
    return column.removeprefix(FEATURE_PREFIX).partition(TYPE_SEPARATOR)[0]


def type_changes(
    features: Iterable[Feature], served: Iterable[Feature], known: Mapping[str, pa.DataType]
) -> list[str]:
    """What becomes of the rows of a new version in the lake where a feature changes its type or its spelling; a sentence each.

    `served`: features of the version that answers now. `known`: the columns of the model's predictions table.
    """
    before = {feature.name.casefold(): feature for feature in served}
    on_their_way = {feature_column(feature.name): FEATURE_TYPES[feature.type] for feature in before.values()}
    columns = _case_insensitive_union(known, on_their_way)
    sentences = []
    for feature in features:
        kind = FEATURE_TYPES[feature.type]
        column = storing_column(columns, feature.name, kind)
        base = feature_of(column)
        earlier = before.get(feature.name.casefold())
        if earlier is None and TYPE_SEPARATOR in column:
            earlier_type = stored_type(columns[feature_column(base)])
        else:
            earlier_type = earlier.type if earlier else feature.type
        if stored_type(kind) != stored_type(FEATURE_TYPES[earlier_type]):
            sentences.append(
                f"feature {feature.name} was of type {earlier_type} and is of type {feature.type}: the prediction log stores it "
                f"in the column {column}; {_reading(earlier_type, feature.type)}"
            )
        if base != feature.name and (earlier is None or earlier.name != feature.name):
            sentences.append(
                f"feature {feature.name} differs only in case from {base}: the prediction log stores both as one feature, in the "
                f"column {column}"
            )
    return sentences


def _case_insensitive_union(
    known: Mapping[str, pa.DataType], more: Mapping[str, pa.DataType]
) -> dict[str, pa.DataType]:
    spelled = {column.casefold() for column in known}
    return {**known, **{name: kind for name, kind in more.items() if name.casefold() not in spelled}}


def _reading(before: str, now: str) -> str:
    if reads_as(before, now):
        return f"earlier values are read as {now} too"
    if (before, now) == ("number", "integer"):
        return (
            "earlier whole numbers are read as integer, and rows with other values are not used for training"
        )
    return "earlier rows are not used for training"


def feature_column(name: str) -> str:
    """The lake's column of a feature."""
    return FEATURE_PREFIX + name


def imported_transaction(writer: str) -> str:
    """The application transaction that holds when an import came, in microseconds since 1970."""
    return f"imported/{writer}"


def stream_transaction(source: str, epoch: int) -> str:
    """The application transaction of a table that holds the highest sequence stored of a writer's stream."""
    return f"sequence/{source}/{epoch}"


def replay_source(origin: str, origin_offset: int) -> str:
    """The writer of a dead letter's rows when they are sent again: always the same, so that they are stored once."""
    return f"replay-{sha256(f'{origin}/{origin_offset}'.encode()).hexdigest()[:16]}"


def partition_of(time: datetime) -> str:
    """The partition of a row with that time (UTC). Years have four digits, so partitions sort by time."""
    return f"{time.year:04d}-{time.month:02d}"
