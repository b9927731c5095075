"""The age of the oldest row that is not shipped, for a writer whose spool is bounded by age."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from shared.spool.checkpoint import Position, read_checkpoint
from shared.spool.segment import list_segments

_SECONDS = 1.0


class BacklogAge:
    """Remembers when the writer of `epoch` wrote what, to the second. `clock`: seconds since 1970, as of file times."""

    def __init__(self, folder: Path, epoch: int, clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._epoch = epoch
        self._clock = clock
        self._marks: deque[tuple[Position, float]] = deque()
        self._end = Position()
        self._looked = float("-inf")
        self._oldest: float | None = None
        self.last_error = ""

    def note(self, number: int, start: int, end: int) -> None:
        """The writer has written from byte `start` to `end` of a segment."""
        now = self._clock()
        self._end = Position(self._epoch, number, end)
        if not self._marks or now - self._marks[-1][1] >= _SECONDS:
            self._marks.append((Position(self._epoch, number, start), now))

    def seconds(self) -> float:
        """Age of the oldest row that is not shipped, at most a second old itself; 0 where all are shipped.

        A folder that cannot be listed leaves the oldest row as it was, and is named in `last_error`: the caller has used up
        sequences, so it must learn whether to write.
        """
        now = self._clock()
        if now - self._looked >= _SECONDS:
            self._looked = now
            try:
                self._oldest = self._find_oldest()
            except OSError as error:
                self.last_error = f"the spool cannot be listed: {error.strerror}"
        return 0.0 if self._oldest is None else max(0.0, now - self._oldest)

    def _find_oldest(self) -> float | None:
        shipped = read_checkpoint(self._folder)
        earlier = []
        for segment, size in list_segments(self._folder):
            # The reader keeps the last segment, although all of it is shipped, until a later one exists.
            if segment.epoch < self._epoch and Position(segment.epoch, segment.number, size) > shipped:
                try:
                    earlier.append(os.stat(self._folder / segment.filename).st_mtime)
                except FileNotFoundError:
                    continue  # shipped and deleted in the meantime
        while self._marks and shipped >= (self._marks[1][0] if len(self._marks) > 1 else self._end):
            self._marks.popleft()
        return min([*earlier, *([self._marks[0][1]] if self._marks else [])], default=None)
