"""Locks on writer folders: one process writes to one folder, and every process start has its own epoch there."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

from shared.file_lock import try_lock
from shared.files import read_regular, write_atomic
from shared.spool.segment import list_segments

LOCK_FILE = "writer.lock"
EPOCH_FILE = "epoch"
_MODE = 0o600


def lock_folder(root: Path) -> tuple[Path, int]:
    """Lock an unlocked writer folder, or a new one; the folder and the descriptor that holds the lock. Raises OSError.

    A folder whose epoch cannot be read is left to the shipper: an epoch used twice would be taken for a repetition.
    """
    for path in sorted(root.iterdir()):
        if (path / LOCK_FILE).is_file() and _last_epoch(path) is not None:
            lock = try_lock(path / LOCK_FILE, mode=_MODE)
            if lock is not None:
                return path, lock
    while True:
        folder = root / f"writer-{uuid4().hex[:12]}"
        folder.mkdir()
        lock = try_lock(folder / LOCK_FILE, mode=_MODE)
        if lock is not None:
            return folder, lock


def _last_epoch(folder: Path) -> int | None:
    """The epoch of the last writer; 0 without one, None where it cannot be read."""
    try:
        return int(read_regular(folder / EPOCH_FILE, maximum_bytes=100))
    except FileNotFoundError:
        return 0
    except (OSError, ValueError):
        return None


def next_epoch(folder: Path) -> int:
    """An epoch above all earlier ones of the folder, stored durably before it is used."""
    path = folder / EPOCH_FILE
    last = _last_epoch(folder) or 0
    seen = [segment.epoch for segment, _ in list_segments(folder)]
    epoch = max([last, *seen]) + 1
    write_atomic(path, str(epoch).encode(), durable=True)
    return epoch
