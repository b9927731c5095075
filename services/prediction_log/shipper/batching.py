"""Batching: groups spool entries of one stream so that each group is sent as one Kafka record. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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

    Rows of two versions never share a batch: their types may differ.
    """
    found: dict[Stream, list[Batch]] = {}
    open_entries: dict[Stream, list[Entry]] = {}

    def seal(stream: Stream) -> None:
        if open_entries.get(stream):
            found.setdefault(stream, []).append(Batch(stream, tuple(open_entries.pop(stream))))

    sizes: dict[Stream, tuple[int, int]] = {}
    for entry in entries:
        stream = Stream(writer, entry.end.epoch, entry.record.kind, entry.record.model)
        inside = open_entries.get(stream)
        if inside:
            rows, size = sizes[stream]
            if (
                rows + len(entry.record) > maximum_rows
                or size + entry.size > maximum_bytes
                or _version(inside[-1]) != _version(entry)
            ):
                seal(stream)
                sizes[stream] = (0, 0)
        rows, size = sizes.get(stream, (0, 0))
        sizes[stream] = (rows + len(entry.record), size + entry.size)
        open_entries.setdefault(stream, []).append(entry)
    for stream in list(open_entries):
        seal(stream)
    return found


def _version(entry: Entry) -> str:
    return entry.record.version if isinstance(entry.record, PredictionRecord) else ""
