"""The folder in which a back-test works: removed at its end, or by the next one if its process was killed."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PREFIX = "replay-"
_LOCK = ".lock"


@contextmanager
def work_folder(cache: Path) -> Iterator[Path]:
    """A new folder in `cache`. Folders of back-tests whose process is gone are removed first; raises OSError.

    A back-test holds the lock of its folder, which the system releases when the process ends, however it does. Folders are made,
    locked and swept under one lock of `cache`, so that none is removed before its lock is held.
    """
    guard = os.open(cache / ".replays.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(guard, fcntl.LOCK_EX)
        for other in cache.glob(f"{_PREFIX}*"):
            _remove_if_left(other)
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=cache))
        held = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(held, fcntl.LOCK_EX)
    finally:
        os.close(guard)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


def _remove_if_left(folder: Path) -> None:
    try:
        held = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError:  # not a folder, or of another user
        return
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return
    else:
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(held)
