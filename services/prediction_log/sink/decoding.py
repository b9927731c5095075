"""Decoding Kafka records for the lake: a message becomes a decoded batch or a dead letter. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from services.prediction_log.dead_letters import DeadLetter
from shared.contracts.lake_schema import stream_transaction
from shared.messaging.interfaces import Message, TopicIdentity
from shared.messaging.log_record import RefusedRecord, read_log_record
from shared.messaging.record_mac import RecordMac

_DEAD_LETTERS = {
    "oversize": DeadLetter.oversize,
    "unauthenticated": DeadLetter.unauthenticated,
    "headers": DeadLetter.headerless,
    "undecodable": DeadLetter.undecodable,
}


@dataclass(frozen=True)
class DecodedBatch:
    """Rows of one stream from one Kafka record. The ids name application transactions of the target table.

    `flaw`: why no table can store the rows; empty for valid rows. `time_bound`: see LogRecord.
    """

    kind: str
    model: str
    message: Message
    batch: pa.RecordBatch
    sequences: np.ndarray[Any, np.dtype[np.int64]]
    offset_id: str
    stream_id: str
    flaw: str = ""
    time_bound: int | None = None

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
    """Read a record of the predictions or outcomes topic; a record that is refused becomes a dead letter."""
    place = origin(message, identity)
    try:
        record = read_log_record(message, maximum_bytes=maximum_bytes, mac=mac)
    except RefusedRecord as error:
        return _DEAD_LETTERS[error.reason](message, place, str(error))
    return DecodedBatch(
        record.kind,
        record.model,
        message,
        record.batch,
        record.sequences,
        f"offset/{place}",
        stream_transaction(record.source, record.epoch),
        record.flaw,
        record.time_bound,
    )
