"""Counts dropped rows in a small memory-mapped file, allocated at start so that a full disk or a kill cannot lose the count.

One file per epoch, one slot per (kind, model): name of the stream, rows dropped, and the sequence after the last row
dropped. A gap in the lake that this file does not explain is a fault.
"""

from __future__ import annotations

import mmap
import os
import re
import struct
from dataclasses import dataclass
from pathlib import Path

from shared.files import UnusableFile, read_regular

_SLOT = struct.Struct("<112sQQ")
_SIZE = 16 << 10
_SUFFIX = ".drops"
_NAME = re.compile(r"([0-9]{10})\.drops")


@dataclass(frozen=True)
class StreamDrops:
    """Dropped rows of one stream; `next_sequence` follows the last of them."""

    kind: str
    model: str
    dropped: int
    next_sequence: int


class DropCounter:
    """Counts the drops of `epoch`; for the writer. Raises OSError where the file cannot be allocated."""

    def __init__(self, folder: Path, epoch: int) -> None:
        descriptor = os.open(folder / f"{epoch:010d}{_SUFFIX}", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, _SIZE)
            self._memory = mmap.mmap(descriptor, _SIZE)
        finally:
            os.close(descriptor)
        self._slots: dict[tuple[str, str], int] = {}

    def count(self, kind: str, model: str, *, dropped: int, next_sequence: int) -> None:
        """Set a stream's total of dropped rows. Takes well under a microsecond and no disk access."""
        slot = self._slots.setdefault((kind, model), len(self._slots))
        if (slot + 1) * _SLOT.size <= _SIZE:
            name = f"{kind}/{model}".encode()
            _SLOT.pack_into(self._memory, slot * _SLOT.size, name, dropped, next_sequence)

    def close(self) -> None:
        """Close the file."""
        self._memory.close()


def read_drops(folder: Path) -> dict[int, list[StreamDrops]]:
    """Drops counted in a writer's folder, by epoch; epochs without drops are left out."""
    found: dict[int, list[StreamDrops]] = {}
    for epoch in list_drop_counters(folder):
        try:
            content = read_regular(folder / f"{epoch:010d}{_SUFFIX}", maximum_bytes=_SIZE)
        except UnusableFile:
            continue
        drops = []
        for start in range(0, len(content) - _SLOT.size + 1, _SLOT.size):
            name, dropped, next_sequence = _SLOT.unpack_from(content, start)
            if not name.rstrip(b"\0"):
                break
            kind, _, model = name.rstrip(b"\0").decode("utf-8", "replace").partition("/")
            drops.append(StreamDrops(kind, model, dropped, next_sequence))
        if drops:
            found[epoch] = drops
    return found


def list_drop_counters(folder: Path) -> list[int]:
    """Epochs that have a drop counter, with drops or without."""
    found = (_NAME.fullmatch(path.name) for path in folder.iterdir())
    return sorted(int(name[1]) for name in found if name is not None)


def delete_drop_counter(folder: Path, epoch: int) -> None:
    """Remove the drop counter of an epoch that dropped nothing."""
    (folder / f"{epoch:010d}{_SUFFIX}").unlink(missing_ok=True)
