"""Whether the spool is as it was when all of it was shipped: an idle shipper then reads no folder, only three times of files."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from shared.spool.segment import list_segments

# A round reads the folders all the same, for what changes no time: rows that are dropped, a writer that has ended.
_LONGEST_SECONDS = 2.0
# Times of files advance in steps of a few milliseconds: one that was changed so lately may be changed again without showing it.
_STEP_SECONDS = 0.1

Signature = tuple[int, int, int]


class StillSpool:
    """Compares the folders and newest segments below `root`. `clock`: seconds since 1970, as of file times."""

    def __init__(
        self,
        root: Path,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._root = root
        self._clock = clock
        self._monotonic = monotonic
        self._seen: dict[Path, Signature] = {}
        self._looked = 0.0
        self._shipped = False

    def look(self) -> None:
        """Remember the state. Call it before a round reads the spool, so that what comes meanwhile is a change."""
        self._shipped, self._looked, self._seen = False, self._monotonic(), {}
        try:
            folders = [self._root, *(path for path in self._root.iterdir() if path.is_dir())]
            newest = [
                folder / segments[-1][0].filename for folder in folders if (segments := list_segments(folder))
            ]
            self._seen = {path: _signature(path) for path in (*folders, *newest)}
        except OSError:
            self._seen = {}

    def settle(self, *, is_shipped: bool) -> None:
        """The round is over; whether nothing that it saw is left to be shipped."""
        latest = max((changed for changed, _, _ in self._seen.values()), default=0) / 1e9
        self._shipped = is_shipped and bool(self._seen) and self._clock() - latest > _STEP_SECONDS

    def is_still(self) -> bool:
        """Whether the next round would find nothing."""
        if not self._shipped or self._monotonic() - self._looked >= _LONGEST_SECONDS:
            return False
        try:
            return all(_signature(path) == seen for path, seen in self._seen.items())
        except OSError:
            return False


def _signature(path: Path) -> Signature:
    found = os.stat(path)
    return found.st_mtime_ns, found.st_size, found.st_ino
