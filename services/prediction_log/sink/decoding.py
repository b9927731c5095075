"""Decoding and checking Kafka records: a message becomes a decoded batch or a dead letter. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from services.prediction_log.dead_letters import DeadLetter
from shared.contracts.lake_schema import (
    OUTCOME_COLUMNS,
    OUTCOME_OPTIONAL_COLUMNS,
    PREDICTION_COLUMNS,
    PREDICTION_OPTIONAL_COLUMNS,
)
from shared.contracts.loop_spec import MODEL_NAME
from shared.contracts.topics import OUTCOMES, PREDICTIONS
from shared.messaging.arrow import CONTENT_TYPE, UndecodableBatch, find_flaw, from_bytes, in_lake_columns
from shared.messaging.events import Event
from shared.messaging.interfaces import Message, TopicIdentity
from shared.messaging.record_mac import RecordMac

_NAME = re.compile(MODEL_NAME)


@dataclass(frozen=True)
class DecodedBatch:
    """Rows of one stream from one Kafka record. The ids name application transactions of the target table.

    `flaw`: why no table can store the rows; empty for valid rows.
    """

    kind: str
    model: str
    message: Message
    batch: pa.RecordBatch
    sequences: np.ndarray[Any, np.dtype[np.int64]]
    offset_id: str
    stream_id: str
    flaw: str = ""

    @property
    def offset(self) -> int:
        """Offset of the record in its partition."""
        return self.message.offset

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self.batch.num_rows)


@dataclass(frozen=True)
class SchemaMismatch:
    """A batch that the table cannot store, and why; `rows` of it are not in the lake yet."""

    decoded: DecodedBatch
    detail: str
    rows: int


def origin(message: Message, identity: TopicIdentity) -> str:
    """The partition of a message, distinct for every topic that was ever created under the same name."""
    return f"{identity.cluster_id}/{message.partition.topic}/{identity.topic_id}/{message.partition.number}"


def read_message(
    message: Message, identity: TopicIdentity, *, maximum_bytes: int, mac: RecordMac
) -> DecodedBatch | DeadLetter:
    """Check a record of the predictions or outcomes topic.

    1. size   2. authenticity   3. headers   4. rows: only bytes of a known sender are decompressed
    """
    place = origin(message, identity)
    if len(message.value) > maximum_bytes:
        return DeadLetter.oversize(
            message, place, f"{len(message.value)} bytes, expected at most {maximum_bytes}"
        )
    if flaw := mac.find_flaw(message):
        return DeadLetter.unauthenticated(message, place, flaw)
    try:
        event = Event.from_headers(message.headers)
    except ValueError as error:
        return DeadLetter.headerless(message, place, str(error))
    topic, kind, columns, optional = (
        (PREDICTIONS, "predictions", PREDICTION_COLUMNS, PREDICTION_OPTIONAL_COLUMNS)
        if message.partition.topic == PREDICTIONS.name
        else (OUTCOMES, "outcomes", OUTCOME_COLUMNS, OUTCOME_OPTIONAL_COLUMNS)
    )
    wrong = _wrong_attribute(event, topic.event_type)
    if wrong:
        return DeadLetter.headerless(message, place, wrong)
    try:
        batch = from_bytes(message.value, columns=columns)
        sequences = _checked_sequences(batch, event.source)
    except UndecodableBatch as error:
        return DeadLetter.undecodable(message, place, str(error))
    flaw = find_flaw(batch, columns=columns, optional=optional, features=kind == "predictions")
    epoch = batch["epoch"][0].as_py()
    return DecodedBatch(
        kind,
        event.model,
        message,
        batch if flaw else in_lake_columns(batch, columns=columns),
        sequences,
        f"offset/{place}",
        f"sequence/{event.source}/{epoch}",
        flaw,
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
