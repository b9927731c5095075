"""Which models this process judges. Two processes never judge the same model at the same time.

The consumer group says which shards a process should have; the lock on a shard's file says which it has. A process that was
removed from the group because it hung still holds its locks: whoever takes over waits until it has ended, or has given them up.
A lock is given up in this order:

1. no new work on the shard's models begins   2. wait for what is under way   3. stream detection stores the shard's state and
forgets it   4. unlock
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from threading import Condition
from typing import Protocol

from services.drift.sharing.shards import shard_of
from shared.file_lock import try_lock
from shared.observability.logs import get_logger

_log = get_logger(__name__)


class Ownership(Protocol):
    """What judges models asks this first. Thread-safe."""

    def owns(self, model: str) -> bool:
        """Whether this process judges the model now."""
        ...

    def using(self, model: str) -> AbstractContextManager[bool]:
        """A block that works on a model: True in it if the process judges it, which then stays so until the block ends."""
        ...


class OwnsAll:
    """The only process: it judges every model."""

    def owns(self, model: str) -> bool:
        """Always."""
        return True

    @contextmanager
    def using(self, model: str) -> Iterator[bool]:
        """Always True."""
        yield True


class SharedModels:
    """The models of the shards that this process has locked, in `folder`. `streams`: whether stream detection holds state."""

    def __init__(self, folder: Path, *, streams: bool) -> None:
        self._folder = folder
        self._streams = streams
        self._changed = Condition()
        self._locks: dict[int, int] = {}  # shard to the descriptor of its lock
        self._leaving: frozenset[int] = frozenset()
        self._users: Counter[int] = Counter()
        self._streamed: frozenset[int] = frozenset()
        self._awaited: frozenset[int] = frozenset()

    def owns(self, model: str) -> bool:
        """Whether this process judges the model now."""
        return shard_of(model) in self.shards()

    @contextmanager
    def using(self, model: str) -> Iterator[bool]:
        """See `Ownership`."""
        shard = shard_of(model)
        with self._changed:
            owned = shard in self._locks and shard not in self._leaving
            self._users[shard] += owned
        try:
            yield owned
        finally:
            if owned:
                with self._changed:
                    self._users[shard] -= 1
                    self._changed.notify_all()

    def shards(self) -> frozenset[int]:
        """The shards that this process has, and does not give up."""
        with self._changed:
            return frozenset(self._locks) - self._leaving

    def claimed(self) -> frozenset[int]:
        """The shards that stream detection takes, or has: from now on they wait for `streamed` before they are given up."""
        with self._changed:
            owned = frozenset(self._locks) - self._leaving
            self._streamed |= owned
            return owned

    def streamed(self, shards: frozenset[int]) -> None:
        """Stream detection holds the state of these shards, and of no others."""
        with self._changed:
            self._streamed = shards
            self._changed.notify_all()

    def follow(self, wanted: frozenset[int], timeout: float) -> None:
        """Give up the shards that are not wanted, within `timeout` seconds or in a later call, then lock those that are.

        A shard that another process holds is tried again in the next call. Raises OSError where a lock cannot be opened.
        """
        with self._changed:
            self._leaving |= frozenset(self._locks) - wanted
            self._changed.wait_for(lambda: not self._busy(), timeout)
            for shard in self._leaving - self._busy():
                os.close(self._locks.pop(shard))
            self._leaving &= frozenset(self._locks)
            missing = wanted - frozenset(self._locks)
        self._folder.mkdir(parents=True, exist_ok=True)
        for shard in sorted(missing):
            descriptor = try_lock(self._folder / f"shard-{shard}.lock")
            if descriptor is not None:
                with self._changed:
                    self._locks[shard] = descriptor
        self._report(missing - self.shards())

    def _busy(self) -> frozenset[int]:
        """Shards to give up that are still worked on."""
        return frozenset(
            shard
            for shard in self._leaving
            if self._users[shard] or (self._streams and shard in self._streamed)
        )

    def _report(self, awaited: frozenset[int]) -> None:
        if awaited - self._awaited:
            _log.info("shards_held_by_another_process", shards=sorted(awaited))
        self._awaited = awaited
