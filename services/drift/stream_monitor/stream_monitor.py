"""The reading loop of stream detection: records of the predictions topic in, suspicions out.

One round:

1. poll records   2. read each, as the sink does; count those that are refused   3. add their rows to tiles and detectors
4. show it in the metrics   5. if there are suspicions: write a snapshot with them, then hand them over
6. now and then: write a snapshot

Nothing outside sees an alarm before the state that raised it is stored (step 5). So after a kill the service goes on from a state
that explains every alarm, and the same records raise the same alarms. While no snapshot can be written, alarms are held.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

from services.drift.stream_monitor import snapshot as snapshots
from services.drift.stream_monitor.metrics import StreamMetrics
from services.drift.stream_monitor.pending import PendingSuspicions
from services.drift.stream_monitor.row_numbers import RowNumbers
from services.drift.stream_monitor.snapshot import Snapshot, UnreadableSnapshot
from services.drift.stream_monitor.stream_report import report
from services.drift.stream_monitor.stream_state import Key, StreamState
from services.drift.stream_monitor.suspicion import Suspicion
from shared.contracts.topics import MAX_RECORD_BYTES
from shared.errors import DependencyUnavailable
from shared.messaging.interfaces import Message, TopicIdentity, TopicReader
from shared.messaging.log_record import RefusedRecord, read_log_record
from shared.messaging.record_mac import RecordMac
from shared.observability.logs import get_logger, log_unknown_error

_log = get_logger(__name__)
POLL_SECONDS = 1.0
# A snapshot costs up to a twentieth of the time.
SNAPSHOT_SECONDS = 5.0
SNAPSHOT_PAUSE = 20.0


@dataclass
class StreamMonitor:
    """Reads and detects. `path`: the snapshot's file. `clock`: monotonic."""

    reader: TopicReader
    state: StreamState
    pending: PendingSuspicions
    metrics: StreamMetrics
    mac: RecordMac
    path: Path
    clock: Callable[[], float] = time.monotonic
    wall_clock: Callable[[], float] = time.time
    identity: TopicIdentity | None = None
    last_record: datetime | None = None
    _held: PendingSuspicions = field(default_factory=PendingSuspicions)
    _changed: bool = False
    _save_at: float = 0.0
    _touched: set[Key] = field(default_factory=set)

    def run(self, stop: Event) -> None:
        """Work until `stop` is set, then write a last snapshot."""
        while not stop.is_set() and not self.begin():
            stop.wait(1.0)
        while not stop.is_set():
            self.step()
        self.save()

    def begin(self) -> bool:
        """Go on from the snapshot, or with new records; False while no broker answers."""
        if self.identity is not None:  # restarted after an unknown error: memory is newer than the snapshot
            return True
        try:
            identity = self.reader.identity()
        except DependencyUnavailable:
            return False
        self.identity = identity
        self._save_at = self.clock() + SNAPSHOT_SECONDS
        try:
            found = snapshots.load(self.path)
            if found is None:
                _log.info("stream_begins_with_new_records", reason="there is no snapshot")
            elif found.identity != identity:
                # Its alarms are about rows of the lake, whatever became of the topic.
                self.pending.add(found.suspicions)
                raise UnreadableSnapshot(
                    "it belongs to another topic: the topic was recreated, or the cluster changed"
                )
        except UnreadableSnapshot as error:
            _log.warning("stream_begins_with_new_records", reason=str(error))
            found = None
        if found is None:
            self.reader.seek(None)
            # Written after the first poll: a process that is killed before its first records goes on from here.
            self._changed, self._save_at = True, self.clock()
            return True
        self.state.numbers = RowNumbers(found.numbers)
        self.state.stored = dict(found.generations)
        self.reader.seek(found.positions)
        self.pending.add(found.suspicions)
        _log.info(
            "stream_goes_on",
            generations=len(found.generations),
            suspicions=len(found.suspicions),
            positions={str(number): offset for number, offset in found.positions.items()},
        )
        return True

    def step(self) -> int:
        """One round; the records read."""
        messages = self.reader.poll(POLL_SECONDS)
        suspicions: list[Suspicion] = []
        counted: list[Message] = []
        for message in messages:
            found = self._add(message)
            if found is not None:
                counted.append(message)
                suspicions += found
        if messages:
            self._changed = True
            self._show(counted)
        if self.reader.positions():
            self.metrics.last_poll.set(self.wall_clock())
        self.metrics.lag.set(self.reader.lag())
        self._held.add(suspicions)
        if suspicions or (self._changed and self.clock() >= self._save_at):
            self.save()
        return len(messages)

    def _add(self, message: Message) -> tuple[Suspicion, ...] | None:
        """Add one record; None if it is refused. None may stop the others, whatever is in it."""
        try:
            record = read_log_record(message, maximum_bytes=MAX_RECORD_BYTES, mac=self.mac)
            added = self.state.add(record)
        except RefusedRecord as refused:
            self.metrics.record(refused.reason)
            return None
        except Exception as error:
            self.metrics.record("failed")
            _log.warning(
                "record_not_counted",
                partition=message.partition.number,
                offset=message.offset,
                error_id=log_unknown_error(_log, error),
            )
            return None
        for result in added.results:
            self.metrics.record(result)
        for failed in added.errors:
            _log.warning(
                "rows_not_counted",
                partition=message.partition.number,
                offset=message.offset,
                error_id=log_unknown_error(_log, failed),
            )
        for suspicion in added.suspicions:
            for alarm in suspicion.alarms:
                self.metrics.alarm(suspicion.model, alarm.signal)
        self._touched.update(added.touched)
        return added.suspicions

    def _show(self, messages: list[Message]) -> None:
        """Show what authenticated records changed. A record's time is not authenticated: it is believed up to now."""
        for key in self._touched:
            stream = self.state.generations.get(key)
            if stream is not None:
                report(stream, self.metrics)
        self._touched.clear()
        self.metrics.generations.set(len(self.state.generations))
        now = self.wall_clock()
        times = [min(max(0.0, message.timestamp / 1000), now) for message in messages]
        if times:
            self.last_record = datetime.fromtimestamp(max(times), UTC)
        for sent in times:
            self.metrics.delay.observe(now - sent)

    def save(self) -> None:
        """Write a snapshot, then hand over the suspicions that waited for it. A failure is counted: the old snapshot stays, and
        the suspicions wait for the next one."""
        positions = self.reader.positions()
        if self.identity is None or not positions:
            return
        begun = self.clock()
        try:
            if self.reader.identity() != self.identity:
                _log.warning("stream_begins_with_new_records", reason="the topic was recreated")
                self.identity = self.reader.identity()
                self.reader.seek(None)
                return
        except DependencyUnavailable:
            pass  # the topic cannot have changed unnoticed: the next snapshot asks again
        generations = {key: stream.state() for key, stream in self.state.generations.items()}
        held = self._held.all()
        try:
            snapshots.save(
                self.path,
                Snapshot(
                    self.identity,
                    positions,
                    self.state.numbers.as_mapping(),
                    (*self.pending.all(), *held),
                    {**self.state.stored, **generations},
                ),
            )
        except OSError as error:
            self.metrics.snapshot_failures.inc()
            _log.warning("snapshot_not_written", problem=str(error))
        else:
            self._changed = False
            self.pending.add(held)
            for suspicion in held:
                self._held.remove(suspicion)
        self._save_at = self.clock() + max(SNAPSHOT_SECONDS, SNAPSHOT_PAUSE * (self.clock() - begun))


def log_mismatch(key: Key, problem: str) -> None:
    """A stored state that a generation's profile does not fit, for example after an update."""
    _log.warning("stream_state_not_restored", model=key[0], generation=key[1], problem=problem)
