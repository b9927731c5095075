"""The state of stream detection in memory, by parts: taken over from snapshots, stored in them, and given up.

A part is everything, or a shard of the models where processes share them. A part that is taken over may have seen fewer records
than the others: reading goes back to its positions, and every part skips the records that it has counted. Suspicions are `held`
until the state that raised them is stored, and then handed over as `pending`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from services.drift.stream_monitor.metrics import StreamMetrics
from services.drift.stream_monitor.pending import PendingSuspicions
from services.drift.stream_monitor.snapshot import Snapshot, UnreadableSnapshot
from services.drift.stream_monitor.state_files import StateFiles
from services.drift.stream_monitor.stream_state import StreamState
from services.drift.stream_monitor.suspicion import Suspicion
from shared.errors import DependencyUnavailable
from shared.messaging.events import model_of
from shared.messaging.interfaces import Message, TopicIdentity, TopicReader
from shared.observability.logs import get_logger

_log = get_logger(__name__)
# A snapshot costs up to a twentieth of the time.
SNAPSHOT_SECONDS = 5.0
SNAPSHOT_PAUSE = 20.0
# A part without new rows: its positions alone are stored, so that a restart reads little again.
UNCHANGED_SECONDS = 60.0


@dataclass
class _Part:
    """`positions`: next offset by partition, empty until the first poll of new records; `stored`: those of the snapshot."""

    positions: dict[int, int]
    stored: dict[int, int] = field(default_factory=dict)
    changed: bool = True
    stored_at: float = 0.0


@dataclass
class StateParts:
    """The parts that are here. `clock`: monotonic."""

    files: StateFiles
    reader: TopicReader
    state: StreamState
    pending: PendingSuspicions
    metrics: StreamMetrics
    clock: Callable[[], float] = time.monotonic
    held: PendingSuspicions = field(default_factory=PendingSuspicions)
    identity: TopicIdentity | None = None
    _parts: dict[int, _Part] = field(default_factory=dict)
    _save_at: float = 0.0

    def __bool__(self) -> bool:
        return bool(self._parts)

    def begin(self) -> bool:
        """Go on from the snapshots, or with new records; False while no broker answers."""
        if self.identity is not None:  # restarted after an unknown error: memory is newer than the snapshots
            return True
        try:
            self.identity = self.reader.identity()
        except DependencyUnavailable:
            return False
        self._save_at = self.clock() + SNAPSHOT_SECONDS
        self.follow()
        return True

    def follow(self) -> None:
        """Give up the parts that another process takes over, and take those over that are this one's now."""
        wanted = self.files.parts()
        if wanted == self._parts.keys():
            return
        if gone := self._parts.keys() - wanted:
            self._give_up(gone)
        if new := wanted - self._parts.keys():
            for number in sorted(new):
                self._take(number)
            # A partition without a position is read from its beginning, as in a snapshot that does not know it.
            known = [part.positions for part in self._parts.values() if part.positions]
            places = {place for positions in known for place in positions}
            first = {place: min(positions.get(place, 0) for positions in known) for place in places}
            self.reader.seek(first or None)
        self.files.held(frozenset(self._parts))

    def is_new(self, message: Message) -> bool:
        """Whether the record's part is here and has not counted it; then it counts as counted. One that names no model belongs to
        any part."""
        place, offset, model = message.partition.number, message.offset, model_of(message.headers)
        part = self._parts.get(self.files.part_of(model)) if model else next(iter(self._parts.values()))
        if part is None or offset < part.positions.get(place, 0):
            return False
        part.positions[place] = offset + 1
        part.changed = True
        return True

    def advance(self) -> None:
        """All records before the reader's positions were counted by their parts."""
        for place, offset in self.reader.positions().items():
            for part in self._parts.values():
                part.positions[place] = max(offset, part.positions.get(place, 0))

    def is_due(self) -> bool:
        """Whether it is time for a snapshot."""
        now = self.clock()
        return now >= self._save_at and any(self._must_store(part, now) for part in self._parts.values())

    def save(self) -> None:
        """Write the snapshots of the parts that changed, then hand over the suspicions that waited for that."""
        begun = self.clock()
        if not self._is_same_topic():
            return
        waiting = {self._part_of(suspicion) for suspicion in self.held.all()}
        for number, part in self._parts.items():
            if (number in waiting or self._must_store(part, begun)) and self._store(number, part):
                held = [one for one in self.held.all() if self._part_of(one) == number]
                self.pending.add(held)
                for suspicion in held:
                    self.held.remove(suspicion)
        self._save_at = self.clock() + max(SNAPSHOT_SECONDS, SNAPSHOT_PAUSE * (self.clock() - begun))

    def _must_store(self, part: _Part, now: float) -> bool:
        return part.changed or (part.positions != part.stored and now >= part.stored_at + UNCHANGED_SECONDS)

    def _is_same_topic(self) -> bool:
        """False before the first poll; and for a topic that was recreated, of which new records are read."""
        if self.identity is None or not self.reader.positions():
            return False
        try:
            found = self.reader.identity()
        except DependencyUnavailable:
            return True  # the topic cannot have changed unnoticed: the next snapshot asks again
        if found != self.identity:
            _log.warning("stream_begins_with_new_records", reason="the topic was recreated")
            self.identity = found
            self.reader.seek(None)
            self._parts = {number: _Part({}) for number in self._parts}
            return False
        return True

    def _store(self, number: int, part: _Part) -> bool:
        """Whether the snapshot was written. A failure is counted: the old one stays, and its suspicions wait for the next one."""
        assert self.identity is not None
        own = {key: stream for key, stream in self.state.generations.items() if self._is_of(key[0], number)}
        snapshot = Snapshot(
            self.identity,
            dict(part.positions),
            self.state.numbers.as_mapping(),
            (*self.pending.all(), *self.held.all()),
            {**self.state.stored, **{key: stream.state() for key, stream in own.items()}},
        )
        try:
            self.files.save(number, snapshot.only(lambda model: self._is_of(model, number)))
        except OSError as error:
            self.metrics.snapshot_failures.inc()
            _log.warning("snapshot_not_written", part=number, problem=str(error))
            return False
        part.stored, part.changed, part.stored_at = dict(part.positions), False, self.clock()
        return True

    def _take(self, number: int) -> None:
        """Go on from the part's snapshot, or with the records that are read next."""
        try:
            found = self.files.load(number)
            if found is None:
                _log.info("stream_begins_with_new_records", part=number, reason="there is no snapshot")
            elif found.identity != self.identity:
                # Its alarms are about rows of the lake, whatever became of the topic.
                self.pending.add(found.suspicions)
                raise UnreadableSnapshot(
                    "it belongs to another topic: the topic was recreated, or the cluster changed"
                )
        except UnreadableSnapshot as error:
            _log.warning("stream_begins_with_new_records", part=number, reason=str(error))
            found = None
        if found is None:
            # Written after the first poll: a process that is killed before its first records goes on from here.
            self._parts[number] = _Part(self.reader.positions())
            self._save_at = self.clock()
            return
        self._parts[number] = _Part(dict(found.positions), dict(found.positions), changed=False)
        self.state.numbers.add(found.numbers)
        self.state.stored |= found.generations
        self.pending.add(found.suspicions)
        _log.info(
            "stream_goes_on",
            part=number,
            generations=len(found.generations),
            suspicions=len(found.suspicions),
            positions={str(place): offset for place, offset in found.positions.items()},
        )

    def _give_up(self, gone: Collection[int]) -> None:
        """Store the parts and forget them. Where that fails, whoever takes over counts the records since the last snapshot again:
        nobody saw what they raised."""
        if self._is_same_topic():
            for number in gone:
                self._store(number, self._parts[number])
        self._parts = {number: part for number, part in self._parts.items() if number not in gone}
        for model in self.state.forget(lambda model: self.files.part_of(model) in gone):
            self.metrics.forget(model)
        for waiting in (self.pending, self.held):
            for suspicion in waiting.all():
                if self._part_of(suspicion) in gone:
                    waiting.remove(suspicion)

    def _is_of(self, model: str, number: int) -> bool:
        return self.files.part_of(model) == number

    def _part_of(self, suspicion: Suspicion) -> int:
        return self.files.part_of(suspicion.model)
