"""Reads records of the predictions and outcomes topics: bytes become checked rows, or a reason to refuse them. Pure.

The sink, which writes the rows to the lake, and drift, which counts them as they arrive, accept exactly the same records.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shared.contracts.lake_schema import (
    OUTCOME_COLUMNS,
    OUTCOME_OPTIONAL_COLUMNS,
    PREDICTION_COLUMNS,
    PREDICTION_OPTIONAL_COLUMNS,
)
from shared.contracts.loop_spec import MODEL_NAME
from shared.contracts.topics import OUTCOMES, PREDICTIONS
from shared.messaging.arrow import (
    CONTENT_TYPE,
    UndecodableBatch,
    find_flaw,
    from_bytes,
    in_lake_columns,
    time_bound,
)
from shared.messaging.events import Event
from shared.messaging.interfaces import Message
from shared.messaging.record_mac import RecordMac

Kind = Literal["predictions", "outcomes"]
Refusal = Literal["oversize", "unauthenticated", "headers", "undecodable"]

_NAME = re.compile(MODEL_NAME)


class RefusedRecord(ValueError):
    """A record that cannot be read: `reason` in one word, and what was found."""

    def __init__(self, reason: Refusal, detail: str) -> None:
        super().__init__(detail)
        self.reason: Refusal = reason


@dataclass(frozen=True)
class LogRecord:
    """Rows of one stream (`source`, `epoch`) about one model, in order of their ascending `sequences`.

    `flaw`: why no table can store the rows; empty for valid rows. `time_bound`: `event_time.bound` of the version, in
    microseconds; None for the default.
    """

    kind: Kind
    model: str
    batch: pa.RecordBatch
    source: str
    epoch: int
    sequences: np.ndarray[Any, np.dtype[np.int64]]
    flaw: str = ""
    time_bound: int | None = None


def read_log_record(message: Message, *, maximum_bytes: int, mac: RecordMac) -> LogRecord:
    """The rows of a record of the predictions or outcomes topic. Raises RefusedRecord.

    1. size   2. authenticity   3. headers   4. rows: only bytes of a known sender are decompressed
    """
    if len(message.value) > maximum_bytes:
        raise RefusedRecord("oversize", f"{len(message.value)} bytes, expected at most {maximum_bytes}")
    if flaw := mac.find_flaw(message):
        raise RefusedRecord("unauthenticated", flaw)
    try:
        event = Event.from_headers(message.headers)
    except ValueError as error:
        raise RefusedRecord("headers", str(error)) from error
    is_prediction = message.partition.topic == PREDICTIONS.name
    kind: Kind = "predictions" if is_prediction else "outcomes"
    topic, columns, optional = (
        (PREDICTIONS, PREDICTION_COLUMNS, PREDICTION_OPTIONAL_COLUMNS)
        if is_prediction
        else (OUTCOMES, OUTCOME_COLUMNS, OUTCOME_OPTIONAL_COLUMNS)
    )
    if wrong := _wrong_attribute(event, topic.event_type):
        raise RefusedRecord("headers", wrong)
    try:
        batch = from_bytes(message.value, columns=columns)
        sequences = _checked_sequences(batch, event.source)
    except UndecodableBatch as error:
        raise RefusedRecord("undecodable", str(error)) from error
    flaw = find_flaw(batch, columns=columns, optional=optional, features=is_prediction)
    return LogRecord(
        kind,
        event.model,
        batch if flaw else in_lake_columns(batch, columns=columns),
        event.source,
        int(batch["epoch"][0].as_py()),
        sequences,
        flaw,
        time_bound(batch),
    )


def _wrong_attribute(event: Event, event_type: str) -> str:
    if event.type != event_type:
        return f"ce_type is {event.type!r}, expected {event_type}"
    if event.content_type != CONTENT_TYPE:
        return f"content-type is {event.content_type!r}, expected {CONTENT_TYPE}"
    if _NAME.fullmatch(event.model) is None:
        return f"ce_model {event.model[:80]!r} is not a valid model name"
    return ""


def _checked_sequences(batch: pa.RecordBatch, source: str) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The sequences of a batch. Raises UndecodableBatch unless it holds rows of one stream in ascending order."""
    if batch.num_rows == 0:
        raise UndecodableBatch("the batch has no rows")
    if pc.count_distinct(batch["writer"]).as_py() != 1 or batch["writer"][0].as_py() != source:
        raise UndecodableBatch(f"rows of another writer than ce_source {source!r}")
    if pc.count_distinct(batch["epoch"]).as_py() != 1:
        raise UndecodableBatch("rows of several epochs")
    sequences: np.ndarray[Any, np.dtype[np.int64]] = batch["sequence"].to_numpy(zero_copy_only=False)
    if sequences[0] < 0 or bool(np.any(np.diff(sequences) <= 0)):
        raise UndecodableBatch("sequences do not ascend")
    return sequences
