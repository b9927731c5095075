"""The reading loop of stream detection: records of the predictions topic in, suspicions out.

One round:

1. poll records   2. read each, as the sink does; count those that are refused   3. add their rows to tiles and detectors
4. show it in the metrics   5. if there are suspicions: write a snapshot with them, then hand them over
6. now and then: write a snapshot

Where processes share the models, a round begins with taking over and giving up parts of the state (`state_parts.py`), and records
of models of other processes are skipped.

Nothing outside sees an alarm before the state that raised it is stored (step 5). So after a kill the service goes on from a state
that explains every alarm, and the same records raise the same alarms. While no snapshot can be written, alarms are held.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event

from services.drift.stream_monitor.metrics import StreamMetrics
from services.drift.stream_monitor.pending import PendingSuspicions
from services.drift.stream_monitor.state_files import StateFiles
from services.drift.stream_monitor.state_parts import StateParts
from services.drift.stream_monitor.stream_report import report
from services.drift.stream_monitor.stream_state import Key, StreamState
from services.drift.stream_monitor.suspicion import Suspicion
from shared.contracts.topics import MAX_RECORD_BYTES
from shared.messaging.interfaces import Message, TopicReader
from shared.messaging.log_record import RefusedRecord, read_log_record
from shared.messaging.record_mac import RecordMac
from shared.observability.logs import get_logger, log_unknown_error

_log = get_logger(__name__)
POLL_SECONDS = 1.0
# Between two looks while another process has every part.
IDLE_SECONDS = 0.5


@dataclass
class StreamMonitor:
    """Reads and detects. `files`: of the snapshots. `clock`: monotonic."""

    reader: TopicReader
    state: StreamState
    pending: PendingSuspicions
    metrics: StreamMetrics
    mac: RecordMac
    files: StateFiles
    clock: Callable[[], float] = time.monotonic
    wall_clock: Callable[[], float] = time.time
    last_record: datetime | None = None
    _touched: set[Key] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.parts = StateParts(
            self.files, self.reader, self.state, self.pending, self.metrics, lambda: self.clock()
        )

    def run(self, stop: Event) -> None:
        """Work until `stop` is set, then write a last snapshot."""
        while not stop.is_set() and not self.begin():
            stop.wait(1.0)
        while not stop.is_set():
            self.step()
        self.save()

    def begin(self) -> bool:
        """Go on from the snapshots, or with new records; False while no broker answers."""
        return self.parts.begin()

    def save(self) -> None:
        """Write snapshots now."""
        self.parts.save()

    def step(self) -> int:
        """One round; the records counted or refused."""
        self.parts.follow()
        if not self.parts:  # nothing to read is no backlog
            self.metrics.last_poll.set(self.wall_clock())
            self.metrics.lag.set(0)
            time.sleep(IDLE_SECONDS)
            return 0
        messages = [message for message in self.reader.poll(POLL_SECONDS) if self.parts.is_new(message)]
        self.parts.advance()
        suspicions: list[Suspicion] = []
        counted: list[Message] = []
        for message in messages:
            found = self._add(message)
            if found is not None:
                counted.append(message)
                suspicions += found
        if messages:
            self._show(counted)
        if self.reader.positions():
            self.metrics.last_poll.set(self.wall_clock())
        self.metrics.lag.set(self.reader.lag())
        self.parts.held.add(suspicions)
        if suspicions or self.parts.is_due():
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


def log_mismatch(key: Key, problem: str) -> None:
    """A stored state that a generation's profile does not fit, for example after an update."""
    _log.warning("stream_state_not_restored", model=key[0], generation=key[1], problem=problem)
