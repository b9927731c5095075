"""Where the state of stream detection is stored: in one file, or one file for each shard, which processes hand to each other.

Each file has positions of its own: a shard that comes from another process may have seen fewer records than those that are here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from services.drift.sharing.ownership import SharedModels
from services.drift.sharing.shards import SHARDS, shard_of
from services.drift.stream_monitor import snapshot as snapshots
from services.drift.stream_monitor.snapshot import Snapshot

FOLDER = "shards"


class StateFiles(Protocol):
    """The parts of the state, each with a file."""

    def part_of(self, model: str) -> int:
        """The part that a model belongs to."""
        ...

    def parts(self) -> frozenset[int]:
        """The parts that this process should hold now: none of them is handed over before `held` leaves it out."""
        ...

    def held(self, parts: frozenset[int]) -> None:
        """Say which parts are in memory: none of them is handed over."""
        ...

    def load(self, part: int) -> Snapshot | None:
        """The last snapshot; None without one. Raises UnreadableSnapshot."""
        ...

    def save(self, part: int, snapshot: Snapshot) -> None:
        """Replace the snapshot, durably. Raises OSError and leaves the old one."""
        ...


class OneFile:
    """The only process: one part with all models, in the file `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._removed = False

    def part_of(self, model: str) -> int:
        """The only part."""
        return 0

    def parts(self) -> frozenset[int]:
        """Always the only part."""
        return frozenset({0})

    def held(self, parts: frozenset[int]) -> None:
        """Nobody else could take it."""

    def load(self, part: int) -> Snapshot | None:
        """See `StateFiles`."""
        return snapshots.load(self._path)

    def save(self, part: int, snapshot: Snapshot) -> None:
        """See `StateFiles`. Shards that are older than this file would raise past alarms again if they were shared out again."""
        snapshots.save(self._path, snapshot)
        if not self._removed:
            for number in range(SHARDS):
                _shard_file(self._path, number).unlink(missing_ok=True)
            self._removed = True


class ShardFiles:
    """One part for each shard, beside `path`. A shard without a file begins with its models in `path`, the file of an only
    process, which is removed once every shard has a file."""

    def __init__(self, path: Path, models: SharedModels) -> None:
        self._path = path
        self._models = models

    def part_of(self, model: str) -> int:
        """The model's shard."""
        return shard_of(model)

    def parts(self) -> frozenset[int]:
        """The shards of this process."""
        return self._models.claimed()

    def held(self, parts: frozenset[int]) -> None:
        """See `StateFiles`."""
        self._models.streamed(parts)

    def load(self, part: int) -> Snapshot | None:
        """See `StateFiles`."""
        found = snapshots.load(_shard_file(self._path, part))
        if found is None:
            found = snapshots.load(self._path)
        return found and found.only(lambda model: shard_of(model) == part)

    def save(self, part: int, snapshot: Snapshot) -> None:
        """See `StateFiles`."""
        snapshots.save(_shard_file(self._path, part), snapshot)
        if self._path.exists() and all(_shard_file(self._path, shard).exists() for shard in range(SHARDS)):
            self._path.unlink(missing_ok=True)


def _shard_file(path: Path, shard: int) -> Path:
    return path.parent / FOLDER / f"{path.stem}-{shard}{path.suffix}"
