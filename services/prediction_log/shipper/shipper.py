"""The shipper: follows every writer's folder and carries its records to Kafka. `python -m services.prediction_log shipper`.

One round:

1. Read what is new in every writer's folder.
2. Make parcels per stream (writer, epoch, kind, model).
3. Send the first parcel of every stream and wait for all acknowledgements; then the second, and so on. Never two records of one
   stream under way: were the first lost and the second kept, the sink would take the first's return for a repeat.
4. Acknowledge to the spool, which then forgets.

After any failure everything since the last acknowledgement is read and sent again; the sink skips what it has.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from threading import Event as Flag

import pyarrow as pa

from services.prediction_log.dead_letters import DeadLetter, send_letter
from services.prediction_log.metrics import ShipperMetrics
from services.prediction_log.shipper.batching import Parcel, Stream, parcels
from shared.backoff import Backoff
from shared.errors import DependencyUnavailable
from shared.messaging.arrow import CONTENT_TYPE, to_bytes
from shared.messaging.events import Event
from shared.messaging.interfaces import Delivery, Producer, RecordRefused
from shared.observability.logs import get_logger
from shared.spool.checkpoint import Position
from shared.spool.lock import LOCK_FILE
from shared.spool.reader import Entry, SpoolReader
from shared.spool.record import PredictionRecord

_log = get_logger(__name__)
_ROUND_BYTES = 16 << 20
_PROBE_BYTES = 1
_MAX_PAUSE_S = 2.0


class Shipper:
    """Carries the spool below `root` to Kafka. For one thread."""

    def __init__(
        self,
        root: Path,
        producer: Producer,
        metrics: ShipperMetrics,
        *,
        batch_rows: int = 5000,
        batch_seconds: float = 0.2,
        record_bytes: int = 900_000,
        delivery_seconds: float = 15.0,
    ) -> None:
        self._root = root
        self._producer = producer
        self._metrics = metrics
        self._batch_rows = batch_rows
        self._batch_seconds = batch_seconds
        self._record_bytes = record_bytes
        self._delivery_seconds = delivery_seconds
        self._readers: dict[str, SpoolReader] = {}
        self._skipped: dict[tuple[str, str], int] = {}
        self._failed = False
        self._oldest: datetime | None = None
        self.last_error = ""
        metrics.oldest_row_age.set_function(self.oldest_row_age)

    def run(self, stop: Flag) -> None:
        """Ship until told to stop. Failures are logged once per kind, counted, and tried again with growing pauses."""
        backoff = Backoff(first_s=self._batch_seconds * 2, max_s=_MAX_PAUSE_S)
        failures = 0
        while not stop.is_set():
            begun = time.monotonic()
            try:
                rows = self.step()
                if self.last_error:
                    _log.info("shipping_again")
                self.last_error = ""
                failures, pause = 0, self._batch_seconds
                if rows >= self._batch_rows:
                    continue
            except (DependencyUnavailable, RecordRefused, OSError) as error:
                if self.last_error != str(error):
                    _log.warning("round_failed", error=str(error))
                self.last_error = str(error)
                failures += 1
                pause = backoff.pause(failures)
            stop.wait(max(0.0, pause - (time.monotonic() - begun)))

    def oldest_row_age(self) -> float:
        """Seconds since the oldest row that Kafka lacks was answered, as far as the spool was looked through; 0 without one."""
        oldest = self._oldest
        return 0.0 if oldest is None else max(0.0, (datetime.now(UTC) - oldest).total_seconds())

    def step(self) -> int:
        """One round; the rows acknowledged. After any error everything unacknowledged is read again by the next round.

        Raises DependencyUnavailable, RecordRefused (also by the dead-letter topic), OSError (the spool is unreadable).
        """
        try:
            return self._round()
        except BaseException:
            self._failed = True
            self._metrics.failures.inc()
            for reader in self._readers.values():
                reader.rewind()
            raise

    def _round(self) -> int:
        # While Kafka is away a round is a probe: reading the whole backlog again every time would only burn the processor.
        budget = _PROBE_BYTES if self._failed else _ROUND_BYTES
        queues: dict[Stream, list[Parcel]] = {}
        ends: dict[str, Position] = {}
        moments: list[datetime] = []
        self._find_writers()
        for writer, reader in self._readers.items():
            if entries := _read(reader, budget):
                ends[writer] = entries[-1].end
                moments += map(_written_at, entries)
                queues.update(
                    parcels(writer, entries, maximum_rows=self._batch_rows, maximum_bytes=self._record_bytes)
                )
        self._oldest = min(moments, default=None)
        try:
            rows = self._send_all(queues)
        except (DependencyUnavailable, RecordRefused):
            self._metrics.connected.set(0)
            self._producer.reset()
            raise
        finally:
            self._tell()
        if queues:
            self._failed = False
            self._metrics.connected.set(1)
        for writer, end in ends.items():
            self._readers[writer].acknowledge(end)
        # What is left was written after what is gone; the next round, which is near, reads how long after.
        left = any(reader.backlog_bytes() for reader in self._readers.values())
        self._oldest = max(moments, default=None) if left else None
        return rows

    def _find_writers(self) -> None:
        if not self._root.is_dir():
            return
        for writer in [name for name in self._readers if not (self._root / name).is_dir()]:
            del self._readers[writer]  # somebody cleared the folder away
        for path in sorted(self._root.iterdir()):
            if path.name not in self._readers and (path / LOCK_FILE).exists():
                self._readers[path.name] = SpoolReader(path)
        self._metrics.writers.set(len(self._readers))

    def _send_all(self, queues: dict[Stream, list[Parcel]]) -> int:
        """Send every stream's parcels, one under way per stream."""
        total = 0
        pending = {stream: iter(self._pieces_of(stream, queue)) for stream, queue in queues.items()}
        while pending:
            under_way: list[tuple[Stream, _Piece, Delivery]] = []
            refused: list[tuple[Stream, _Piece, RecordRefused]] = []
            for stream in list(pending):
                piece = next(pending[stream], None)
                if piece is None:
                    del pending[stream]
                    continue
                total += piece.batch.num_rows
                try:
                    under_way.append((stream, piece, self._send(stream, piece)))
                except RecordRefused as error:
                    refused.append((stream, piece, error))
            deadline = time.monotonic() + self._delivery_seconds
            for stream, piece, delivery in under_way:
                try:
                    delivery.result(max(0.0, deadline - time.monotonic()))
                    self._count(stream, piece)
                except RecordRefused as error:
                    refused.append((stream, piece, error))
            # Only now, with nothing under way: sending after a refusal begins a new connection and drops what is.
            for stream, piece, refusal in refused:
                self._split(stream, piece, refusal)
        return total

    def _pieces_of(self, stream: Stream, queue: list[Parcel]) -> Iterator[_Piece]:
        """Parcels as encoded pieces, made when their turn comes."""
        for parcel in queue:
            try:
                yield from self._fitting(_Piece(parcel.batch(), parcel.traceparent))
            except ValueError:
                for single in parcel.single_entries():
                    try:
                        batch = single.batch()
                    except ValueError as error:
                        self._bury(stream, single, str(error))
                        continue
                    yield from self._fitting(_Piece(batch, single.traceparent))

    def _fitting(self, piece: _Piece) -> Iterator[_Piece]:
        """The piece, in halves of halves as long as it is too large for one record."""
        if len(piece.value) <= self._record_bytes or piece.batch.num_rows == 1:
            yield piece
            return
        for half in piece.halves():
            yield from self._fitting(half)

    def _send(self, stream: Stream, piece: _Piece) -> Delivery:
        if len(piece.value) > self._record_bytes:
            raise RecordRefused(
                f"a row takes {len(piece.value)} bytes, at most {self._record_bytes} are sent"
            )
        event = Event.now(
            stream.topic.event_type,
            source=stream.writer,
            model=stream.model,
            content_type=CONTENT_TYPE,
            traceparent=piece.traceparent,
        )
        return self._producer.send(stream.topic.name, stream.writer.encode(), piece.value, event.headers())

    def _split(self, stream: Stream, piece: _Piece, error: RecordRefused) -> None:
        """What Kafka finds too large goes in halves, one after the other; a single row becomes a dead letter."""
        if piece.batch.num_rows == 1:
            sequence = int(piece.batch["sequence"][0].as_py())
            self._bury_value(stream, "oversize", str(error), sequence, 1, piece.value)
            return
        for half in piece.halves():
            try:
                self._send(stream, half).result(self._delivery_seconds)
                self._count(stream, half)
            except RecordRefused as again:
                self._split(stream, half, again)

    def _bury(self, stream: Stream, parcel: Parcel, detail: str) -> None:
        entry = parcel.entries[0]
        self._bury_value(stream, "encoding", detail, entry.record.sequence, len(entry.record), entry.payload)

    def _bury_value(
        self, stream: Stream, reason: str, detail: str, sequence: int, rows: int, value: bytes
    ) -> None:
        letter = DeadLetter.unsendable(
            reason=reason,
            detail=detail,
            writer=stream.writer,
            epoch=stream.epoch,
            stream=f"{stream.kind}/{stream.model}",
            sequence=sequence,
            rows=rows,
            value=value,
        )
        send_letter(self._producer, letter, stream.writer, self._delivery_seconds)
        self._metrics.dead_letters.labels(reason).inc(rows)
        _log.warning("rows_refused", reason=reason, model=stream.model, rows=rows, detail=detail)

    def _count(self, stream: Stream, piece: _Piece) -> None:
        self._metrics.shipped_rows.labels(stream.kind, stream.model).inc(piece.batch.num_rows)
        self._metrics.records.inc()
        self._metrics.last_delivery.set_to_current_time()

    def _tell(self) -> None:
        """Bring gauges up to date."""
        dropped: dict[tuple[str, str], int] = {}
        backlog = 0
        for writer, reader in self._readers.items():
            backlog += reader.backlog_bytes()
            for stream, rows in reader.dropped().items():
                dropped[stream] = dropped.get(stream, 0) + rows
            for reason, now in (("torn_record", reader.torn_records), ("broken_bytes", reader.broken_bytes)):
                before = self._skipped.get((writer, reason), 0)
                if now > before:
                    self._metrics.skipped.labels(reason).inc(now - before)
                    self._skipped[writer, reason] = now
                    _log.warning("spool_skipped", writer=writer, reason=reason, amount=now - before)
        self._metrics.backlog_bytes.set(backlog)
        for (kind, model), rows in dropped.items():
            self._metrics.dropped_rows.labels(kind, model).set(rows)


def _read(reader: SpoolReader, budget: int) -> list[Entry]:
    """What is new in one writer's folder, until `budget` bytes are reached."""
    entries: list[Entry] = []
    size = 0
    while size < budget and (more := reader.read()):
        entries.extend(more)
        size += sum(entry.size for entry in more)
    return entries


def _written_at(entry: Entry) -> datetime:
    record = entry.record
    return record.answered_at if isinstance(record, PredictionRecord) else record.received_at


class _Piece:
    """An encoded stretch of a stream."""

    def __init__(self, batch: pa.RecordBatch, traceparent: str) -> None:
        self.batch = batch
        self.traceparent = traceparent
        self.value = to_bytes(batch)

    def halves(self) -> tuple[_Piece, _Piece]:
        middle = self.batch.num_rows // 2
        return (
            _Piece(self.batch.slice(0, middle), self.traceparent),
            _Piece(self.batch.slice(middle), self.traceparent),
        )
