"""Finds the record whose handling ends the process: a durable count of how often the handling of a record began and did not end.

Kafka delivers a record that was not committed again, so a record that makes the process crash, or the kernel kill it, would end
it after every start. Errors that Python can catch are no matter of this.

1. Before records are handled, the file gets their offsets; when they are done, or an error was caught, it loses them.
2. A process that finds offsets in its file was preceded by one that died while it handled them. One of these records may be why:
   they are handled one by one from now on.
3. A record that is handled alone and ends the process again has a count of its own. At `limit` deaths it is given up.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import orjson

from shared.file_lock import try_lock
from shared.files import read_regular, write_atomic
from shared.messaging.interfaces import Message, Partition
from shared.observability.logs import get_logger

_log = get_logger(__name__)
_MAX_BYTES = 1 << 20
_MAX_PROCESSES = 64


@dataclass(frozen=True)
class _Suspects:
    """Records of a partition, from the offset `first` to `last`, whose handling has ended the process `deaths` times."""

    topic: str
    partition: int
    first: int
    last: int
    deaths: int

    def includes(self, message: Message) -> bool:
        place = (message.partition.topic, message.partition.number)
        return place == (self.topic, self.partition) and self.first <= message.offset <= self.last


class HandlingJournal:
    """The journal of one consumer. Without its file, which is reported once, deaths are not counted and nothing else changes."""

    def __init__(self, path: Path, *, limit: int = 3) -> None:
        """`path`: a file that no other process uses; see `open_journal`. `limit`: deaths after which a record is given up."""
        self._path = path
        self._limit = limit
        self._reported = False
        begun, self._suspects = self._read()
        self._suspects += [replace(one, deaths=one.deaths + 1) for one in begun]
        for one in begun:
            _log.warning(
                "records_handled_when_the_process_died",
                topic=one.topic,
                partition=one.partition,
                first_offset=one.first,
                last_offset=one.last,
                deaths=one.deaths + 1,
            )
        if begun:
            self._write([])

    def groups(self, messages: Sequence[Message]) -> Iterator[list[Message]]:
        """The records in their order, in groups to be handled together: each suspect is alone."""
        group: list[Message] = []
        for message in messages:
            if self._suspects and self._deaths(message):
                if group:
                    yield group
                    group = []
                yield [message]
            else:
                group.append(message)
        if group:
            yield group

    def is_given_up(self, message: Message) -> bool:
        """Whether its handling has ended the process too often: it must be set aside instead."""
        return self._deaths(message) >= self._limit

    @property
    def limit(self) -> int:
        """The deaths after which a record is given up."""
        return self._limit

    @contextmanager
    def handling(self, group: Sequence[Message]) -> Iterator[None]:
        """Handle a group of `groups` inside. Only the death of the process inside leaves its offsets in the file."""
        self._write(self._begun(group))
        try:
            yield
        except Exception:
            self._write([])
            raise
        self._clear(group)
        self._write([])

    def _deaths(self, message: Message) -> int:
        return max((one.deaths for one in self._suspects if one.includes(message)), default=0)

    def _begun(self, group: Sequence[Message]) -> list[_Suspects]:
        if len(group) == 1:
            (message,) = group
            place, offset = message.partition, message.offset
            return [_Suspects(place.topic, place.number, offset, offset, self._deaths(message))]
        offsets: dict[Partition, list[int]] = {}
        for message in group:
            offsets.setdefault(message.partition, []).append(message.offset)
        return [
            _Suspects(place.topic, place.number, min(those), max(those), 0)
            for place, those in offsets.items()
        ]

    def _clear(self, group: Sequence[Message]) -> None:
        """These records, and those before them, end no process."""
        for message in group if self._suspects else ():
            left = []
            for one in self._suspects:
                if (one.topic, one.partition) != (message.partition.topic, message.partition.number):
                    left.append(one)
                elif one.last > message.offset:
                    left.append(replace(one, first=max(one.first, message.offset + 1)))
            self._suspects = left

    def _read(self) -> tuple[list[_Suspects], list[_Suspects]]:
        try:
            stored = orjson.loads(read_regular(self._path, maximum_bytes=_MAX_BYTES))
            begun, suspects = ([_Suspects(**one) for one in stored[name]] for name in ("begun", "suspects"))
            return begun, suspects
        except (FileNotFoundError, NotADirectoryError):
            return [], []
        except (OSError, ValueError, TypeError, KeyError) as error:
            _log.warning("handling_journal_unreadable", path=str(self._path), problem=str(error))
            return [], []

    def _write(self, begun: list[_Suspects]) -> None:
        """Not synchronised with the disk: it has to outlive the process, not the machine."""
        try:
            if not begun and not self._suspects:
                self._path.unlink(missing_ok=True)
                return
            content = {
                "begun": [asdict(one) for one in begun],
                # What is handled now is in `begun` with its deaths.
                "suspects": [asdict(one) for one in self._without(begun)],
            }
            write_atomic(self._path, orjson.dumps(content))
        except OSError as error:
            if not self._reported:
                _log.warning("deaths_of_the_process_not_counted", path=str(self._path), problem=str(error))
            self._reported = True

    def _without(self, begun: list[_Suspects]) -> list[_Suspects]:
        """The suspects without single records that are handled now."""
        handled = {(one.topic, one.partition, one.first) for one in begun if one.first == one.last}
        return [
            one
            for one in self._suspects
            if not (one.first == one.last and (one.topic, one.partition, one.first) in handled)
        ]


def open_journal(folder: Path, name: str) -> HandlingJournal:
    """The journal `name` in a folder, of this process alone: several on one machine have a file each.

    A process that was started again finds the file of the one before, as its lock is free.
    """
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    for number in range(_MAX_PROCESSES):
        path = folder / f"{name}.{number}.json"
        try:
            lock = try_lock(path.with_suffix(".lock"))
        except OSError:  # reported where the file is written
            break
        if lock is not None:
            os.set_inheritable(lock, False)
            break
    return HandlingJournal(path)
