"""Spool records: rows that one version answered together, framed so that a reader can detect torn records.

They are the rows of one request, or of several that were answered in one iteration of the event loop.

    frame    magic "HSP1" | length of payload (u32) | crc32 of payload (u32)
    payload  first sequence (u64) | length of head (u32) | head (JSON) | tensors (raw little-endian float32, in the head's order)
             | of classes: probabilities, of values or embeddings: the answers (raw little-endian float32, rows x width)

The head holds everything but tensors and these. JSON costs about a microsecond a row; Arrow would cost ninety.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
import orjson
from isal.isal_zlib import crc32

Kind = Literal["predictions", "outcomes"]

MAGIC = b"HSP1"
FRAME = struct.Struct("<4sII")
PREFIX = struct.Struct("<QI")
OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NAIVE_UTC


class BrokenRecord(ValueError):
    """The payload has a valid checksum but is not a record of this format."""


@dataclass(frozen=True)
class Classes:
    """What a model with classes answered: the most probable label of each row, and all probabilities, float32 [n, classes]."""

    labels: Sequence[str]
    scores: np.ndarray[Any, Any]


# Not frozen: making one would take three times as long, and the shipper makes one for each answer. Nothing changes them.
@dataclass(slots=True)
class PredictionRecord:
    """Rows answered together, in order; row i has sequence `sequence` + i.

    `timestamps`: the columns that hold times, as microseconds since 1970.
    """

    model: str
    sequence: int
    version: str
    generation: int
    event_time: datetime
    answered_at: datetime
    prediction_ids: Sequence[str]
    scores: Sequence[float | None] | None
    columns: Mapping[str, Sequence[Any]]
    tensors: Mapping[str, np.ndarray[Any, Any]] = field(default_factory=dict)
    traceparent: str = ""
    classes: Classes | None = None
    vectors: np.ndarray[Any, Any] | None = None
    """Answers that are values or embeddings, float32 [n, width]."""
    timestamps: frozenset[str] = frozenset()
    time_bound: int | None = None
    """`event_time.bound` of the version's loop.yaml in microseconds; None for the default."""
    slot: str = "live"
    keys: Sequence[str | None] | None = None
    """Of each row the key of its request; None if no request had one."""

    @property
    def kind(self) -> Kind:
        """Kind of the record's stream."""
        return "predictions"

    def __len__(self) -> int:
        return len(self.prediction_ids)


@dataclass(slots=True)
class OutcomeRecord:
    """Outcomes of one request, in order; row i has sequence `sequence` + i. Those of classes are `labels`, those of
    several values `numbers` by name; their `values` are None. `sender`: who posted them; empty where it is not known.
    `time_bound`: as of predictions, of the version that was live when they came."""

    model: str
    sequence: int
    received_at: datetime
    prediction_ids: Sequence[str]
    values: Sequence[float | None]
    observed_at: Sequence[datetime]
    traceparent: str = ""
    labels: Sequence[str] | None = None
    numbers: Sequence[Mapping[str, float]] | None = None
    sender: str = ""
    time_bound: int | None = None

    @property
    def kind(self) -> Kind:
        """Kind of the record's stream."""
        return "outcomes"

    def __len__(self) -> int:
        return len(self.prediction_ids)


Record = PredictionRecord | OutcomeRecord


def frame(sequence: int, head: bytes, tensors: Sequence[memoryview]) -> list[bytes | memoryview]:
    """The buffers of one framed record, for a single writev."""
    start = PREFIX.pack(sequence, len(head)) + head
    length = len(start)
    checksum = crc32(start)
    for tensor in tensors:
        length += tensor.nbytes
        checksum = crc32(tensor, checksum)
    return [FRAME.pack(MAGIC, length, checksum) + start, *tensors]


def decode(payload: bytes | memoryview) -> Record:
    """Decode a payload with a valid checksum. Raises BrokenRecord."""
    view = memoryview(payload)
    try:
        sequence, head_length = PREFIX.unpack_from(view)
        start = PREFIX.size + head_length
        head = orjson.loads(view[PREFIX.size : start])
        if head["kind"] == "outcomes":
            return OutcomeRecord(
                model=head["model"],
                sequence=sequence,
                received_at=_time(head["received_at"]),
                prediction_ids=head["ids"],
                values=head["values"],
                observed_at=[_time(text) for text in head["observed_at"]],
                traceparent=head["traceparent"],
                labels=head.get("labels"),
                numbers=head.get("numbers"),
                sender=head.get("sender", ""),
                time_bound=head.get("time_bound"),
            )
        if head["kind"] != "predictions":
            raise BrokenRecord(f"kind is {head['kind']!r}, expected predictions or outcomes")
        tensors: dict[str, np.ndarray[Any, Any]] = {}
        for name, shape in head["tensors"]:
            count = int(np.prod(shape, dtype=np.int64))
            tensors[name] = np.frombuffer(view, "<f4", count, start).reshape(shape)
            start += 4 * count
        labels, width = head.get("labels"), head.get("width")
        classes = vectors = None
        if width is not None:
            count = len(head["ids"])
            vectors = np.frombuffer(view, "<f4", count * width, start).reshape(count, width)
        if labels is not None:
            shape = (len(labels), head["classes"])
            scores = np.frombuffer(view, "<f4", shape[0] * shape[1], start).reshape(shape)
            classes = Classes(labels, scores)
        return PredictionRecord(
            model=head["model"],
            sequence=sequence,
            version=head["version"],
            generation=head["generation"],
            event_time=_time(head["event_time"]),
            answered_at=_time(head["answered_at"]),
            prediction_ids=head["ids"],
            scores=head["scores"],
            columns=head["columns"],
            tensors=tensors,
            traceparent=head["traceparent"],
            classes=classes,
            vectors=vectors,
            timestamps=frozenset(head.get("timestamps", ())),
            time_bound=head.get("time_bound"),
            slot=head.get("slot", "live"),
            keys=head.get("keys"),
        )
    except BrokenRecord:
        raise
    except (struct.error, KeyError, TypeError, ValueError) as error:
        raise BrokenRecord(f"{type(error).__name__}: {error}") from error


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)
