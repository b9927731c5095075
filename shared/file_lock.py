"""Locks between processes on files (flock): taken without waiting, released by the kernel when the process ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


def try_lock(path: Path, *, mode: int = 0o600) -> int | None:
    """Lock the file, which is created if it is missing. Raises OSError.

    The result is the descriptor that holds the lock until it is closed; None if another process holds it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, mode)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def is_locked(path: Path) -> bool:
    """Whether a process holds the lock of an existing file. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        # Shared, so that two probes at the same time do not take each other for the holder.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
