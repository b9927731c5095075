"""Checked rows as records of the prediction log: what inference and its shipper send of answered rows and outcomes. Pure.

An imported prediction has the generation 0 and the version IMPORT, since no version of this installation has answered it, and was
answered at its event time. Its writer is named after the content of the import, and the row's number is its sequence: so the sink
stores a row of it once, however often it is sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from cli.history.validation import HAS_OUTCOME, OBSERVED
from shared.contracts.lake_schema import (
    FEATURE_PREFIX,
    IMPORT,
    KEY,
    LABEL,
    OUTCOME_COLUMNS,
    OUTCOME_OPTIONAL_COLUMNS,
    PREDICTION_COLUMNS,
    PREDICTION_OPTIONAL_COLUMNS,
    SCORE,
    SOURCE,
    TIMESTAMP,
    VALUE,
    VALUES,
)
from shared.contracts.topics import OUTCOMES, PREDICTIONS, Topic
from shared.messaging.arrow import CONTENT_TYPE, to_bytes
from shared.messaging.events import Event, Headers

EPOCH = 1
GENERATION = 0
# Kafka's default limit of a record is 1 MiB.
RECORD_BYTES = 900_000
RECORD_ROWS = 2048
_DIGITS = 16


def writer_of(digest: str) -> str:
    """The writer of an import, by the digest of its rows."""
    return f"import-{digest[:_DIGITS]}"


@dataclass(frozen=True)
class Record:
    """A record for Kafka with `rows` rows, the last of which has the number `last`."""

    topic: Topic
    key: bytes
    value: bytes
    headers: Headers
    rows: int
    last: int


def prediction_records(model: str, writer: str, table: pa.Table, first: int) -> Iterator[Record]:
    """Rows with `prediction_id`, numbered from `first`, as records of the predictions topic."""
    count = table.num_rows
    columns: dict[str, pa.ChunkedArray | pa.Array] = {
        "prediction_id": table["prediction_id"],
        "version": _repeated(IMPORT, pa.string(), count),
        "generation": _repeated(GENERATION, pa.int64(), count),
        "event_time": table["event_time"],
        "answered_at": table["event_time"],
        **_numbers(writer, first, count),
        "score": table[SCORE],
        "traceparent": pa.nulls(count, pa.string()),
        SOURCE: _repeated(IMPORT, pa.string(), count),
    }
    columns |= {name: table[name] for name in table.column_names if name.startswith(FEATURE_PREFIX)}
    kept = {name: column for name, column in columns.items() if not _is_absent(name, column)}
    if table[KEY].null_count < count:
        kept[KEY] = table[KEY]
    known = pa.unify_schemas([PREDICTION_COLUMNS, PREDICTION_OPTIONAL_COLUMNS])
    yield from _split(PREDICTIONS, model, writer, _batch(kept, known), first)


def outcome_records(
    model: str, writer: str, table: pa.Table, first: int, received_at: datetime
) -> Iterator[Record]:
    """The outcomes of these rows, numbered from `first`, as records of the outcomes topic."""
    rows = table.filter(table[HAS_OUTCOME])
    count = rows.num_rows
    if not count:
        return
    columns: dict[str, pa.ChunkedArray | pa.Array] = {
        "prediction_id": rows["prediction_id"],
        "value": rows[VALUE] if VALUE in rows.column_names else pa.nulls(count, pa.float64()),
        "observed_at": rows[OBSERVED],
        "received_at": _repeated(received_at, TIMESTAMP, count),
        **_numbers(writer, first, count),
        "traceparent": pa.nulls(count, pa.string()),
        **{name: rows[name] for name in (LABEL, VALUES) if name in rows.column_names},
        SOURCE: _repeated(IMPORT, pa.string(), count),
    }
    known = pa.unify_schemas([OUTCOME_COLUMNS, OUTCOME_OPTIONAL_COLUMNS])
    yield from _split(OUTCOMES, model, writer, _batch(columns, known), first)


def _numbers(writer: str, first: int, count: int) -> dict[str, pa.Array]:
    return {
        "writer": _repeated(writer, pa.string(), count),
        "epoch": _repeated(EPOCH, pa.int64(), count),
        "sequence": pa.array(range(first, first + count), pa.int64()),
    }


def _repeated(value: object, kind: pa.DataType, count: int) -> pa.Array:
    return pa.repeat(pa.scalar(value, kind), count)


def _is_absent(name: str, column: pa.ChunkedArray | pa.Array) -> bool:
    """Whether a feature has no value in any row: the table gets its column with the first value."""
    return name.startswith(FEATURE_PREFIX) and column.null_count == len(column)


def _batch(columns: dict[str, pa.ChunkedArray | pa.Array], known: pa.Schema) -> pa.RecordBatch:
    fields = [
        known.field(name) if name in known.names else pa.field(name, column.type)
        for name, column in columns.items()
    ]
    arrays = [
        (column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column).cast(field.type)
        for column, field in zip(columns.values(), fields, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))


def _split(topic: Topic, model: str, writer: str, batch: pa.RecordBatch, first: int) -> Iterator[Record]:
    """Records of at most RECORD_ROWS rows and about RECORD_BYTES; a row is never split."""
    value = to_bytes(batch) if batch.num_rows <= RECORD_ROWS else b""
    if batch.num_rows > 1 and (not value or len(value) > RECORD_BYTES):
        half = batch.num_rows // 2
        yield from _split(topic, model, writer, batch.slice(0, half), first)
        yield from _split(topic, model, writer, batch.slice(half), first + half)
        return
    event = Event.now(topic.event_type, source=writer, model=model, content_type=CONTENT_TYPE)
    # One key for all imports of a model: one sink after the other compares them with what is stored.
    key = f"import/{model}".encode()
    yield Record(topic, key, value, event.headers(), batch.num_rows, first + batch.num_rows - 1)
