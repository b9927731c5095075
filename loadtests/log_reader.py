"""Reads and deletes the prediction log of the compared servers, as their shipper does: without one, a log only grows.

The kernel then takes the pages of deleted segments for new ones. Where a log grows, each record needs pages that were never used
before, which cost several times as much as copying the record there.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.spool.lock import LOCK_FILE
from shared.spool.reader import SpoolReader

_PAUSE_SECONDS = 0.05


@contextmanager
def reading_log(spool: Path) -> Iterator[None]:
    """Read and delete what is written below `spool`, on a thread with this thread's cores, until the end of the block."""
    stop = threading.Event()
    thread = threading.Thread(target=_read, args=(spool, stop), name="log-reader")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _read(spool: Path, stop: threading.Event) -> None:
    readers: dict[Path, SpoolReader] = {}
    while not stop.wait(_PAUSE_SECONDS):
        for lock in spool.glob(f"*/{LOCK_FILE}"):
            if (reader := readers.get(lock.parent)) is None:
                reader = readers[lock.parent] = SpoolReader(lock.parent)
            while not stop.is_set() and (entries := reader.read()):
                reader.acknowledge(entries[-1].end)
