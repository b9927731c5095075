"""The shipper: reads every writer's spool folder and sends its records to Kafka.

One round:

1. Read what is new in every writer's folder.
2. Group them into batches per stream (writer, epoch, kind, model).
3. Send the first batch of every stream and wait for all acknowledgements; then the second, and so on. Never two records of one
   stream in flight: if the first were lost and the second kept, the sink would skip the retry of the first as a repeat.
4. Acknowledge to the spool, which deletes what was acknowledged.

After any failure everything since the last acknowledgement is read and sent again; the sink skips what it has.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from threading import Event as Flag

from services.prediction_log.dead_letters import DeadLetter, send_dead_letter
from services.prediction_log.metrics import ShipperMetrics
from services.prediction_log.shipper.batching import Batch, Stream, make_batches
from services.prediction_log.shipper.chunk import Chunk
from services.prediction_log.shipper.still_spool import StillSpool
from shared.backoff import Backoff
from shared.errors import DependencyUnavailable
from shared.messaging.arrow import CONTENT_TYPE
from shared.messaging.events import Event
from shared.messaging.interfaces import Delivery, Producer, RecordRefused
from shared.observability.logs import get_logger
from shared.spool.checkpoint import Position
from shared.spool.lock import LOCK_FILE
from shared.spool.reader import Entry, SpoolReader
from shared.spool.record import PredictionRecord

_log = get_logger(__name__)
_ROUND_BYTES = 4 << 20
_PROBE_BYTES = 1
_MAX_PAUSE_S = 2.0


class Shipper:
    """Sends the spool below `root` to Kafka. Not thread-safe."""

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
        drain_seconds: float = 0.0,
    ) -> None:
        self._root = root
        self._producer = producer
        self._metrics = metrics
        self._batch_rows = batch_rows
        self._batch_seconds = batch_seconds
        self._record_bytes = record_bytes
        self._delivery_seconds = delivery_seconds
        self._drain_seconds = drain_seconds
        self._readers: dict[str, SpoolReader] = {}
        self._skipped: dict[tuple[str, str], int] = {}
        self._still = StillSpool(root)
        self._failed = False
        self._is_behind = False  # whether the last round ended at its budget
        self._oldest: datetime | None = None
        self.last_error = ""
        metrics.oldest_row_age.set_function(self.oldest_row_age)

    def run(self, stop: Flag) -> None:
        """Ship until `stop` is set, then drain. A failed round is counted and retried; a new error is logged."""
        backoff = Backoff(first_s=self._batch_seconds * 2, max_s=_MAX_PAUSE_S)
        failures = 0
        while not stop.is_set():
            begun = time.monotonic()
            try:
                rows = self.step()
                if self.last_error:
                    _log.info("shipping_resumed")
                self.last_error = ""
                failures, pause = 0, self._batch_seconds
                if rows >= self._batch_rows or self._is_behind:
                    continue
            except (DependencyUnavailable, RecordRefused, OSError) as error:
                if self.last_error != str(error):
                    _log.warning("round_failed", error=str(error))
                self.last_error = str(error)
                failures += 1
                pause = backoff.pause(failures)
            stop.wait(max(0.0, pause - (time.monotonic() - begun)))
        self._drain()

    def _drain(self) -> None:
        """Ship what is left for `drain_seconds`; not while Kafka is unavailable, and only until the first failure."""
        ends = time.monotonic() + self._drain_seconds
        try:
            while not self.last_error and time.monotonic() < ends and (self.step() or self._is_behind):
                pass
        except (DependencyUnavailable, RecordRefused, OSError) as error:
            _log.warning("drain_failed", error=str(error))

    def oldest_row_age(self) -> float:
        """Seconds since the oldest unacknowledged row read so far was answered; 0 without one."""
        oldest = self._oldest
        return 0.0 if oldest is None else max(0.0, (datetime.now(UTC) - oldest).total_seconds())

    def step(self) -> int:
        """One round; the rows acknowledged. After any error the next round reads everything unacknowledged again.

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
        self._is_behind = False
        if self._still.is_still():
            return 0
        self._still.look()
        # While Kafka is unavailable a round is a probe: reading the full backlog every time would waste CPU.
        budget = _PROBE_BYTES if self._failed else _ROUND_BYTES
        queues: dict[Stream, list[Batch]] = {}
        ends: dict[str, Position] = {}
        times: list[datetime] = []
        self._find_writers()
        for writer, reader in self._readers.items():
            entries, is_full = _read(reader, budget)
            self._is_behind |= is_full
            if entries:
                ends[writer] = entries[-1].end
                times += map(_written_at, entries)
                queues.update(
                    make_batches(
                        writer, entries, maximum_rows=self._batch_rows, maximum_bytes=self._record_bytes
                    )
                )
        self._oldest = min(times, default=None)
        try:
            rows = self._send_all(queues)
        except (DependencyUnavailable, RecordRefused):
            self._metrics.connected.set(0)
            self._producer.reset()
            raise
        finally:
            self._update_metrics()
        if queues:
            self._failed = False
            self._metrics.connected.set(1)
        for writer, end in ends.items():
            self._readers[writer].acknowledge(end)
        # What is left was written after what was shipped; the next round reads the exact time.
        left = any(reader.backlog_bytes() for reader in self._readers.values())
        self._oldest = max(times, default=None) if left else None
        unstored = any(reader.checkpoint_error for reader in self._readers.values())
        self._still.settle(is_shipped=not (left or unstored))
        return rows

    def _find_writers(self) -> None:
        if not self._root.is_dir():
            return
        for writer in [name for name in self._readers if not (self._root / name).is_dir()]:
            del self._readers[writer]  # the folder was deleted
        for path in sorted(self._root.iterdir()):
            if path.name not in self._readers and (path / LOCK_FILE).exists():
                self._readers[path.name] = SpoolReader(path)
        self._metrics.writers.set(len(self._readers))

    def _send_all(self, queues: dict[Stream, list[Batch]]) -> int:
        """Send all batches, one record in flight per stream; the number of rows."""
        total = 0
        pending = {stream: iter(self._chunks_of(stream, queue)) for stream, queue in queues.items()}
        while pending:
            in_flight: list[tuple[Stream, Chunk, Delivery]] = []
            refused: list[tuple[Stream, Chunk, RecordRefused]] = []
            for stream in list(pending):
                chunk = next(pending[stream], None)
                if chunk is None:
                    del pending[stream]
                    continue
                total += chunk.rows
                try:
                    in_flight.append((stream, chunk, self._send(stream, chunk)))
                except RecordRefused as error:
                    refused.append((stream, chunk, error))
            deadline = time.monotonic() + self._delivery_seconds
            for stream, chunk, delivery in in_flight:
                try:
                    delivery.result(max(0.0, deadline - time.monotonic()))
                    self._count(stream, chunk)
                except RecordRefused as error:
                    refused.append((stream, chunk, error))
            # Only now, with nothing in flight: sending after a refusal opens a new connection and drops what is in flight.
            for stream, chunk, refusal in refused:
                self._send_split(stream, chunk, refusal)
        return total

    def _chunks_of(self, stream: Stream, queue: list[Batch]) -> Iterator[Chunk]:
        """Batches as chunks, encoded on demand. Entries that cannot be encoded become dead letters."""
        for batch in queue:
            try:
                yield from Chunk(batch.to_arrow(), batch.traceparent).split_to_fit(self._record_bytes)
            except ValueError:
                for single in batch.split_by_entry():
                    try:
                        rows = single.to_arrow()
                    except ValueError as error:
                        self._refuse_entry(stream, single, str(error))
                        continue
                    yield from Chunk(rows, single.traceparent).split_to_fit(self._record_bytes)

    def _send(self, stream: Stream, chunk: Chunk) -> Delivery:
        if len(chunk.value) > self._record_bytes:
            raise RecordRefused(
                f"a row has {len(chunk.value)} bytes; a Kafka record may have {self._record_bytes}"
            )
        event = Event.now(
            stream.topic.event_type,
            source=stream.writer,
            model=stream.model,
            content_type=CONTENT_TYPE,
            traceparent=chunk.traceparent,
        )
        return self._producer.send(stream.topic.name, stream.writer.encode(), chunk.value, event.headers())

    def _send_split(self, stream: Stream, chunk: Chunk, error: RecordRefused) -> None:
        """Send a chunk that Kafka refused in two halves, one after the other; a single row becomes a dead letter."""
        if chunk.rows == 1:
            self._send_dead_letter(stream, "oversize", str(error), chunk.sequence, 1, chunk.value)
            return
        for half in chunk.split():
            try:
                self._send(stream, half).result(self._delivery_seconds)
                self._count(stream, half)
            except RecordRefused as again:
                self._send_split(stream, half, again)

    def _refuse_entry(self, stream: Stream, batch: Batch, detail: str) -> None:
        entry = batch.entries[0]
        self._send_dead_letter(
            stream, "encoding", detail, entry.record.sequence, len(entry.record), entry.payload
        )

    def _send_dead_letter(
        self, stream: Stream, reason: str, detail: str, sequence: int, rows: int, value: bytes
    ) -> None:
        dead_letter = DeadLetter.unsendable(
            reason=reason,
            detail=detail,
            writer=stream.writer,
            epoch=stream.epoch,
            stream=f"{stream.kind}/{stream.model}",
            sequence=sequence,
            rows=rows,
            value=value,
        )
        send_dead_letter(self._producer, dead_letter, stream.writer, self._delivery_seconds)
        self._metrics.dead_letters.labels(reason).inc(rows)
        _log.warning("rows_refused", reason=reason, model=stream.model, rows=rows, detail=detail)

    def _count(self, stream: Stream, chunk: Chunk) -> None:
        self._metrics.shipped_rows.labels(stream.kind, stream.model).inc(chunk.rows)
        self._metrics.records.inc()
        self._metrics.last_delivery.set_to_current_time()

    def _update_metrics(self) -> None:
        """Update gauges and the counters of skipped spool data."""
        dropped: dict[tuple[str, str], int] = {}
        backlog = 0
        for writer, reader in self._readers.items():
            backlog += reader.backlog_bytes()
            for stream, rows in reader.dropped().items():
                dropped[stream] = dropped.get(stream, 0) + rows
            for reason, now in (
                ("torn_record", reader.torn_records),
                ("corrupt_bytes", reader.corrupt_bytes),
                ("missing_segments", reader.missing_segments),
            ):
                before = self._skipped.get((writer, reason), 0)
                if now > before:
                    self._metrics.skipped.labels(reason).inc(now - before)
                    self._skipped[writer, reason] = now
                    _log.warning("spool_skipped", writer=writer, reason=reason, amount=now - before)
        self._metrics.backlog_bytes.set(backlog)
        for (kind, model), rows in dropped.items():
            self._metrics.dropped_rows.labels(kind, model).set(rows)


def _read(reader: SpoolReader, budget: int) -> tuple[list[Entry], bool]:
    """New entries of one writer's folder, until `budget` bytes are reached, and whether they were."""
    entries: list[Entry] = []
    size = 0
    while size < budget and (more := reader.read()):
        entries.extend(more)
        size += sum(entry.size for entry in more)
    return entries, size >= budget


def _written_at(entry: Entry) -> datetime:
    record = entry.record
    return record.answered_at if isinstance(record, PredictionRecord) else record.received_at
