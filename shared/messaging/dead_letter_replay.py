"""Makes a dead letter's rows a record again, for a person who has removed the cause. Pure.

The rows get a writer of their own, named after the dead letter, and are numbered from 0. Under their old numbers the sink would
take them for repeats; and however often the same dead letter is replayed, its rows are stored once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from shared.contracts.lake_schema import (
    OUTCOME_COLUMNS,
    OUTCOME_OPTIONAL_COLUMNS,
    PREDICTION_COLUMNS,
    PREDICTION_OPTIONAL_COLUMNS,
)
from shared.contracts.topics import OUTCOMES, PREDICTIONS, Topic
from shared.messaging.arrow import (
    CONTENT_TYPE,
    UndecodableBatch,
    find_flaw,
    from_bytes,
    outcomes_batch,
    predictions_batch,
    to_bytes,
)
from shared.messaging.events import Event, Headers
from shared.spool.record import BrokenRecord, PredictionRecord, decode

_SCHEMAS = {
    PREDICTIONS.name: (PREDICTION_COLUMNS, PREDICTION_OPTIONAL_COLUMNS),
    OUTCOMES.name: (OUTCOME_COLUMNS, OUTCOME_OPTIONAL_COLUMNS),
}


class NotReplayable(ValueError):
    """Why a dead letter cannot be stored now either."""


@dataclass(frozen=True)
class Replay:
    """Rows of a dead letter for the topic that they belong to."""

    topic: Topic
    model: str
    rows: pa.RecordBatch

    def without(self, prediction_ids: pa.Array | pa.ChunkedArray) -> Replay:
        """The rows whose prediction is not among these: a sink that died may have stored them."""
        ids = (
            prediction_ids.combine_chunks() if isinstance(prediction_ids, pa.ChunkedArray) else prediction_ids
        )
        return Replay(
            self.topic,
            self.model,
            self.rows.filter(pc.invert(pc.is_in(self.rows["prediction_id"], value_set=ids))),
        )

    def record(self, source: str, epoch: int) -> tuple[bytes, bytes, Headers]:
        """Key, value and headers of the record."""
        count = self.rows.num_rows
        rows = self.rows
        for name, values in (
            ("writer", pa.repeat(source, count)),
            ("epoch", pa.repeat(pa.scalar(epoch, pa.int64()), count)),
            ("sequence", pa.array(range(count), pa.int64())),
        ):
            place = rows.schema.get_field_index(name)
            rows = rows.set_column(place, rows.schema.field(place), values)
        event = Event.now(self.topic.event_type, source=source, model=self.model, content_type=CONTENT_TYPE)
        return source.encode(), to_bytes(rows), event.headers()


def replay_of(origin_topic: str, reason: str, value: bytes, headers: Mapping[str, str]) -> Replay:
    """The rows of a dead letter. Raises NotReplayable.

    `value`: the record as it was on the topic, or on the spool if the shipper could not send it.
    """
    if reason == "unauthenticated":
        raise NotReplayable("it was not sent by this installation, or was changed on the way")
    try:
        topic, model, rows = (
            _of_spool(value) if origin_topic.startswith("spool/") else _of_topic(origin_topic, value, headers)
        )
    except (UndecodableBatch, BrokenRecord, ValueError) as error:
        raise NotReplayable(f"it cannot be read: {error}") from error
    columns, optional = _SCHEMAS[topic.name]
    flaw = find_flaw(rows, columns=columns, optional=optional, features=topic is PREDICTIONS)
    if flaw:
        raise NotReplayable(f"the lake cannot store it: {flaw}")
    return Replay(topic, model, rows)


def _of_topic(name: str, value: bytes, headers: Mapping[str, str]) -> tuple[Topic, str, pa.RecordBatch]:
    if name not in _SCHEMAS:
        raise NotReplayable(f"it is of the topic {name}, which holds no rows")
    model = headers.get("ce_model", "")
    if not model:
        raise NotReplayable("its headers do not name a model")
    topic = PREDICTIONS if name == PREDICTIONS.name else OUTCOMES
    return topic, model, from_bytes(value, columns=_SCHEMAS[name][0])


def _of_spool(value: bytes) -> tuple[Topic, str, pa.RecordBatch]:
    record = decode(value)
    if isinstance(record, PredictionRecord):
        return PREDICTIONS, record.model, predictions_batch([record], writer="-", epoch=1)
    return OUTCOMES, record.model, outcomes_batch([record], writer="-", epoch=1)
