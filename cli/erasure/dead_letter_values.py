"""What remains of a dead letter without the rows of a subject. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from shared.contracts.lake_schema import OUTCOME_COLUMNS, PREDICTION_COLUMNS
from shared.contracts.topics import OUTCOMES, PREDICTIONS
from shared.messaging.arrow import (
    MAX_DECODED_BYTES,
    from_bytes,
    outcomes_batch,
    predictions_batch,
    to_bytes,
)
from shared.messaging.arrow_size import decoded_bytes
from shared.spool.record import PredictionRecord, decode
from shared.stores.erasure.dead_letter_rows import Kept
from shared.stores.erasure.subject import Subject, lake_columns_of

Personal = Callable[[str], frozenset[str]]
# Errors of values that are not records, or not ones that a table can store. Anyone with access to the topic can send such values.
_UNREADABLE = (ValueError, TypeError, KeyError, OSError, pa.ArrowException)


def without_subject(
    letter: Mapping[str, Any],
    subject: Subject,
    ids: frozenset[str],
    personal: Personal,
    models: frozenset[str] | None = None,
) -> Kept | None:
    """What remains; None if it holds nothing of the subject, or is of none of the `models` (None: of any).

    A record that cannot be read is deleted if it contains one of the subject's values. So is one of the spool, which is not
    a record batch, if the subject has a row of it.
    """
    value = bytes(letter["value"] or b"")
    topic = str(letter["origin_topic"])
    if models is not None and _model_of(letter) not in models:
        return None
    try:
        rows = _decode(topic, value)
        found = subject.rows_of(rows, lake_columns_of(rows.schema, personal(_model_of(letter))))
        if ids:
            known = pa.array(sorted(ids), pa.string())
            found = pc.or_(found, pc.is_in(rows["prediction_id"], value_set=known))
    except _UNREADABLE:
        texts = [one.encode() for one in (*subject.values, *ids)]
        return Kept(None) if any(text in part for part in _parts(value) for text in texts) else None
    if not pc.any(found).as_py():
        return None
    kept = rows.filter(pc.invert(found))
    if kept.num_rows == 0 or topic.startswith("spool/"):
        return Kept(None)
    return Kept(to_bytes(kept), kept.num_rows)


def _decode(topic: str, value: bytes) -> pa.RecordBatch:
    if topic.startswith("spool/"):
        record = decode(value)
        if isinstance(record, PredictionRecord):
            return predictions_batch([record], writer="-", epoch=1)
        return outcomes_batch([record], writer="-", epoch=1)
    columns = {PREDICTIONS.name: PREDICTION_COLUMNS, OUTCOMES.name: OUTCOME_COLUMNS}.get(topic)
    if columns is None:
        raise ValueError(f"the topic {topic} holds no rows")
    return from_bytes(value, columns=columns)


def _model_of(letter: Mapping[str, Any]) -> str:
    """Empty where the letter does not say."""
    if str(letter["origin_topic"]).startswith("spool/"):
        return str(letter["origin"]).rpartition("/")[2]  # spool/<writer>/<epoch>/<kind>/<model>
    try:
        return str(dict(orjson.loads(str(letter["headers"]))).get("ce_model", ""))
    except (ValueError, TypeError):
        return ""


def _parts(value: bytes) -> Iterator[bytes]:
    """The bytes, and what Arrow can decompress of them: a batch is compressed inside."""
    yield value
    try:
        if decoded_bytes(value) > MAX_DECODED_BYTES:
            return
        with pa.ipc.open_stream(value) as stream:
            for batch in stream:
                for column in batch.columns:
                    yield from (bytes(buffer) for buffer in column.buffers() if buffer is not None)
    except _UNREADABLE:
        return
