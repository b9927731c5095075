"""When records on the spool are synced to the disk: what a power cut may lose.

    never     the kernel writes them when it likes, usually within 30 seconds (default)
    interval  a thread syncs what was written, every `seconds`
    always    synced before the answer; records that one write holds are synced once

A record survives a kill of any process in all three cases: the kernel has it.
"""

from __future__ import annotations

import os
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Literal

Fsync = Literal["never", "interval", "always"]


class DiskSync:
    """Syncs segments of one folder. `failures`: syncs that failed; their records are on the spool, and may not be on the disk."""

    def __init__(self, fsync: Fsync, seconds: float) -> None:
        self.failures = 0
        self.last_error = ""
        self._fsync = fsync
        self._seconds = seconds
        self._dirty: set[Path] = set()
        self._lock = Lock()
        self._stop = Event()
        self._thread: Thread | None = None
        if fsync == "interval":
            self._thread = Thread(target=self._run, name="spool-sync", daemon=True)
            self._thread.start()

    def opened(self, path: Path) -> None:
        """A segment, or the writer's folder, was created: its name must survive as well."""
        if self._fsync != "never":
            self._sync(path.parent)

    def written(self, descriptor: int, path: Path) -> None:
        """Records were written to the segment."""
        if self._fsync == "always":
            if descriptor < 0:  # a later write failed and closed it
                self._sync(path)
                return
            try:
                os.fdatasync(descriptor)
            except OSError as error:
                self._failed(error)
        elif self._fsync == "interval":
            with self._lock:
                self._dirty.add(path)

    def close(self) -> None:
        """Sync what is left, and stop."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._sync_dirty()

    def _run(self) -> None:
        while not self._stop.wait(self._seconds):
            self._sync_dirty()

    def _sync_dirty(self) -> None:
        with self._lock:
            paths, self._dirty = self._dirty, set()
        for path in paths:
            self._sync(path)

    def _sync(self, path: Path) -> None:
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return  # shipped and deleted in the meantime
        except OSError as error:
            self._failed(error)
            return
        try:
            os.fsync(descriptor)
        except OSError as error:
            self._failed(error)
        finally:
            os.close(descriptor)

    def _failed(self, error: OSError) -> None:
        self.failures += 1
        self.last_error = f"the spool cannot be synced: {error.strerror}"
