"""Converts spool records to Arrow record batches with the lake's columns, and batches to bytes and back.

One batch holds rows of one model, one kind and one (writer, epoch), in order of their sequences. Sequences may have gaps (rows
the writer dropped), never repeats.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shared.contracts.event_time import MAX_TIME, MIN_TIME
from shared.contracts.feature import FEATURE_NAME
from shared.contracts.lake_schema import (
    FEATURE_PREFIX,
    KEY,
    LABEL,
    OUTCOME_COLUMNS,
    OUTCOME_OPTIONAL_COLUMNS,
    PREDICTION_COLUMNS,
    PREDICTION_OPTIONAL_COLUMNS,
    SCORES,
    SENDER,
    SLOT,
    TIMESTAMP,
    VALUES,
    feature_column,
)
from shared.messaging.arrow_size import decoded_bytes
from shared.messaging.record_columns import chained, given_values, repeated, sequences
from shared.models.answers import list_column
from shared.spool.record import OutcomeRecord, PredictionRecord

# Of one record, decompressed: more than any request of the largest size becomes.
MAX_DECODED_BYTES = 256 << 20
CONTENT_TYPE = "application/vnd.apache.arrow.stream"
# What predictions_batch makes of a feature's values.
_FEATURE_TYPES = (
    pa.string(),
    pa.int64(),
    pa.float64(),
    pa.float32(),
    pa.bool_(),
    pa.list_(pa.float32()),
    TIMESTAMP,
)
_FEATURE = re.compile(FEATURE_NAME)
_TIME_BOUND = b"homeostat.time_bound"
_MAX_DIGITS = 18  # so that sums with times fit into 64 bits
_OPTIONS = pa.ipc.IpcWriteOptions(compression="zstd")
# Threads would decompress sooner, for twice the CPU time.
_READ_OPTIONS = pa.ipc.IpcReadOptions(use_threads=False)


class UndecodableBatch(ValueError):
    """The bytes are not one Arrow record batch with the columns of the lake."""


def predictions_batch(records: Sequence[PredictionRecord], *, writer: str, epoch: int) -> pa.RecordBatch:
    """Records of one model and version as one batch. Raises ValueError where no column takes the values of a feature."""
    counts = [len(record.prediction_ids) for record in records]
    rows = sum(counts)
    columns: dict[str, pa.Array] = {
        "prediction_id": pa.array(
            chained([record.prediction_ids for record in records], counts), pa.string()
        ),
        "version": repeated([record.version for record in records], counts, pa.string()),
        "generation": repeated([record.generation for record in records], counts, pa.int64()),
        "event_time": repeated([record.event_time for record in records], counts, TIMESTAMP),
        "answered_at": repeated([record.answered_at for record in records], counts, TIMESTAMP),
        "writer": repeated([writer], [rows], pa.string()),
        "epoch": repeated([epoch], [rows], pa.int64()),
        "sequence": sequences(records),
        "score": pa.array(chained([record.scores for record in records], counts), pa.float64()),
        "traceparent": repeated([record.traceparent for record in records], counts, pa.string()),
    }
    if any(record.slot != "live" for record in records):
        columns[SLOT] = repeated([record.slot for record in records], counts, pa.string())
    if any(record.keys is not None for record in records):
        columns[KEY] = pa.array(chained([record.keys for record in records], counts), pa.string())
    if any(record.classes is not None for record in records):
        columns |= _classes(records, counts)
    if any(record.vectors is not None for record in records):
        columns[SCORES] = _scores([record.vectors for record in records], counts)
    tensors = {name for record in records for name in record.tensors}
    times = {name for record in records for name in record.timestamps}
    for name, given in given_values(records):
        if name in tensors:
            values = _tensor(name, records, counts)
        else:
            values = _feature(name, chained(given, counts), is_time=name in times)
        if not pa.types.is_null(values.type):  # a column without values has no type; the lake fills in null
            columns[feature_column(name)] = values
    known = pa.unify_schemas([PREDICTION_COLUMNS, PREDICTION_OPTIONAL_COLUMNS])
    fields = [
        known.field(name) if name in known.names else pa.field(name, array.type)
        for name, array in columns.items()
    ]
    schema = pa.schema(fields, _metadata(records[0].time_bound))
    return pa.RecordBatch.from_arrays(list(columns.values()), schema=schema)


def time_bound(batch: pa.RecordBatch) -> int | None:
    """`event_time.bound` of the version that answered or was live, in microseconds; None for the default."""
    text = (batch.schema.metadata or {}).get(_TIME_BOUND, b"")
    return int(text) if text.isdigit() and len(text) < _MAX_DIGITS else None


def outcomes_batch(records: Sequence[OutcomeRecord], *, writer: str, epoch: int) -> pa.RecordBatch:
    """Outcome records of one model and time bound as one batch."""
    counts = [len(record) for record in records]
    rows = sum(counts)
    arrays = [
        pa.array([identity for record in records for identity in record.prediction_ids], pa.string()),
        pa.array([value for record in records for value in record.values], pa.float64()),
        pa.array([time for record in records for time in record.observed_at], TIMESTAMP),
        repeated([record.received_at for record in records], counts, TIMESTAMP),
        repeated([writer], [rows], pa.string()),
        repeated([epoch], [rows], pa.int64()),
        sequences(records),
        repeated([record.traceparent for record in records], counts, pa.string()),
    ]
    fields = list(OUTCOME_COLUMNS)
    # Of one model, but perhaps of two versions of it: their kinds may differ.
    optional: dict[str, list[Sequence[Any] | None]] = {
        LABEL: [record.labels for record in records],
        VALUES: [
            None if record.numbers is None else [list(numbers.items()) for numbers in record.numbers]
            for record in records
        ],
        SENDER: [[record.sender] * len(record) if record.sender else None for record in records],
    }
    for name, parts in optional.items():
        if any(part is not None for part in parts):
            column: list[Any] = []
            for part, count in zip(parts, counts, strict=True):
                column.extend(part if part is not None else [None] * count)
            fields.append(OUTCOME_OPTIONAL_COLUMNS.field(name))
            arrays.append(pa.array(column, fields[-1].type))
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields, _metadata(records[0].time_bound)))


def _metadata(bound: int | None) -> dict[bytes, bytes] | None:
    return None if bound is None else {_TIME_BOUND: str(bound).encode()}


def to_bytes(batch: pa.RecordBatch) -> bytes:
    """The batch as an Arrow IPC stream, compressed inside."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema, options=_OPTIONS) as stream:
        stream.write_batch(batch)
    return bytes(sink.getvalue())


def from_bytes(value: bytes, *, columns: pa.Schema) -> pa.RecordBatch:
    """The batch in an Arrow IPC stream, checked against the lake's `columns`. Raises UndecodableBatch.

    Nothing is decompressed that declares more than MAX_DECODED_BYTES.
    """
    try:
        size = decoded_bytes(value)
        if size > MAX_DECODED_BYTES:
            raise UndecodableBatch(f"{size} bytes decompressed, expected at most {MAX_DECODED_BYTES}")
        with pa.ipc.open_stream(value, options=_READ_OPTIONS) as stream:
            batches = list(stream)
        if len(batches) != 1:
            raise UndecodableBatch(f"the stream holds {len(batches)} batches, expected one")
        batch = batches[0]
        batch.validate(full=True)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UndecodableBatch(f"not an Arrow stream of one batch: {error}") from error
    for field in columns:
        index = batch.schema.get_field_index(field.name)
        if index < 0:
            raise UndecodableBatch(f"column {field.name} is missing")
        if batch.schema.field(index).type != field.type:
            raise UndecodableBatch(
                f"column {field.name} has type {batch.schema.field(index).type}, expected {field.type}"
            )
        if not field.nullable and batch.column(index).null_count:
            raise UndecodableBatch(f"column {field.name} has missing values")
    return batch


def find_flaw(batch: pa.RecordBatch, *, columns: pa.Schema, optional: pa.Schema, features: bool) -> str:
    """Why the lake cannot store a batch that `from_bytes` has read; empty where it can.

    Valid are `columns` with times of the years 1 to 9999, `optional` columns of their type and, with `features`, feature columns
    as predictions_batch makes them.
    Any other column could break the table's schema, and a table with a broken schema rejects all writes.
    """
    seen: set[str] = set()
    for field in batch.schema:
        name = field.name
        if name.casefold() in seen:  # the lake's column names are case-insensitive
            return f"column {name[:80]} appears twice (case is ignored)"
        seen.add(name.casefold())
        if name in columns.names:
            continue
        if name in optional.names:
            if field.type != optional.field(name).type:
                return f"column {name} has type {field.type}, expected {optional.field(name).type}"
            continue
        if not features or not name.startswith(FEATURE_PREFIX):
            return f"column {name[:80]} is not a column of the lake"
        if _FEATURE.fullmatch(name.removeprefix(FEATURE_PREFIX)) is None:
            return f"column {name[:80]} is not named after a valid feature"
        if field.type not in _FEATURE_TYPES:
            return f"feature column {name} has type {field.type}, expected one of {', '.join(map(str, _FEATURE_TYPES))}"
    for field in batch.schema:
        if pa.types.is_timestamp(field.type):
            limits = pc.min_max(batch[field.name].cast(pa.int64())).as_py()
            if limits["min"] is not None and not MIN_TIME <= limits["min"] <= limits["max"] <= MAX_TIME:
                return f"column {field.name} has a time outside the years 1 to 9999"
    return ""


def in_lake_columns(batch: pa.RecordBatch, *, columns: pa.Schema) -> pa.RecordBatch:
    """A valid batch with the lake's own field declarations instead of the sender's."""
    fields = [
        columns.field(field.name) if field.name in columns.names else pa.field(field.name, field.type)
        for field in batch.schema
    ]
    return pa.RecordBatch.from_arrays(batch.columns, schema=pa.schema(fields))


def _classes(records: Sequence[PredictionRecord], counts: Sequence[int]) -> dict[str, pa.Array]:
    labels: list[str | None] = []
    for record, count in zip(records, counts, strict=True):
        labels.extend(record.classes.labels if record.classes else [None] * count)
    scores = [record.classes.scores if record.classes else None for record in records]
    return {LABEL: pa.array(labels, pa.string()), SCORES: _scores(scores, counts)}


def _scores(matrices: Sequence[np.ndarray[Any, Any] | None], counts: Sequence[int]) -> pa.Array:
    kind = PREDICTION_OPTIONAL_COLUMNS.field(SCORES).type
    return pa.concat_arrays(
        [
            pa.nulls(count, kind) if matrix is None else list_column(matrix)
            for matrix, count in zip(matrices, counts, strict=True)
        ]
    )


def _tensor(name: str, records: Sequence[PredictionRecord], counts: Sequence[int]) -> pa.Array:
    parts = []
    for record, count in zip(records, counts, strict=True):
        tensor = record.tensors.get(name)
        if tensor is None:
            parts.append(pa.nulls(count, pa.list_(pa.float32())))
            continue
        flat = np.ascontiguousarray(tensor, np.float32).reshape(-1)
        width = flat.size // count
        offsets = (
            np.arange(0, flat.size + 1, width, dtype=np.int32) if width else np.zeros(count + 1, np.int32)
        )
        parts.append(pa.ListArray.from_arrays(pa.array(offsets), pa.array(flat)))
    return pa.concat_arrays(parts)


def _feature(name: str, values: list[Any], *, is_time: bool) -> pa.Array:
    try:
        return pa.array(values, pa.int64()).cast(TIMESTAMP) if is_time else pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        # Arrow's own text shows a value, which may be personal.
        kinds = sorted({type(value).__name__ for value in values})
        raise ValueError(f"feature {name} has values that no column takes: {', '.join(kinds)}") from None
