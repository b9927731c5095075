"""Batching: groups spool entries of one stream so that each group is sent as one Kafka record. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from shared.contracts.topics import OUTCOMES, PREDICTIONS, Topic
from shared.messaging.arrow import outcomes_batch, predictions_batch
from shared.spool.reader import Entry
from shared.spool.record import OutcomeRecord, PredictionRecord


@dataclass(frozen=True)
class Stream:
    """Rows numbered by one sequence without gaps."""

    writer: str
    epoch: int
    kind: str
    model: str

    @property
    def topic(self) -> Topic:
        """Kafka topic of the stream."""
        return PREDICTIONS if self.kind == "predictions" else OUTCOMES


@dataclass(frozen=True)
class Batch:
    """Consecutive entries of one stream, few enough for one Kafka record."""

    stream: Stream
    entries: tuple[Entry, ...]

    @property
    def rows(self) -> int:
        """Number of rows."""
        return sum(len(entry.record) for entry in self.entries)

    @property
    def traceparent(self) -> str:
        """Trace context of the first request."""
        return self.entries[0].record.traceparent

    def to_arrow(self) -> pa.RecordBatch:
        """The rows as an Arrow record batch. Raises ValueError where they cannot be converted."""
        predictions = [entry.record for entry in self.entries if isinstance(entry.record, PredictionRecord)]
        if predictions:
            return predictions_batch(predictions, writer=self.stream.writer, epoch=self.stream.epoch)
        outcomes = [entry.record for entry in self.entries if isinstance(entry.record, OutcomeRecord)]
        return outcomes_batch(outcomes, writer=self.stream.writer, epoch=self.stream.epoch)

    def split_by_entry(self) -> list[Batch]:
        """One batch per entry."""
        return [Batch(self.stream, (entry,)) for entry in self.entries]


def make_batches(
    writer: str, entries: Sequence[Entry], *, maximum_rows: int, maximum_bytes: int
) -> dict[Stream, list[Batch]]:
    """Batches of one writer's entries, in order per stream.

    Rows of two versions never share a batch: their types may differ. Nor do outcomes with two time bounds: a batch has one.
    """
    found: dict[Stream, list[Batch]] = {}
    unsealed: dict[tuple[int, str, str], _Unsealed] = {}
    for entry in entries:
        record, end, payload = entry
        place = (end.epoch, record.kind, record.model)
        common = record.version if isinstance(record, PredictionRecord) else record.time_bound
        rows, size = len(record), len(payload)
        group = unsealed.get(place)
        if group is None:
            group = unsealed[place] = _Unsealed(Stream(writer, *place), common)
        elif group.entries and (
            group.rows + rows > maximum_rows or group.size + size > maximum_bytes or group.common != common
        ):
            group.seal(found)
            group.common = common
        group.rows += rows
        group.size += size
        group.entries.append(entry)
    for group in unsealed.values():
        group.seal(found)
    return found


@dataclass(slots=True)
class _Unsealed:
    """Entries of the next batch of a stream. `common`: what all its rows share."""

    stream: Stream
    common: str | int | None
    entries: list[Entry] = field(default_factory=list)
    rows: int = 0
    size: int = 0

    def seal(self, found: dict[Stream, list[Batch]]) -> None:
        found.setdefault(self.stream, []).append(Batch(self.stream, tuple(self.entries)))
        self.entries, self.rows, self.size = [], 0, 0
