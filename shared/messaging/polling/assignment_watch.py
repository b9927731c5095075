"""Decides when a member of a consumer group that has no partitions joins its group again. Pure.

kafka-python 3.0: a group's leader whose metadata request was cancelled assigns no partitions ("No partition metadata for topic"),
and the group reads nothing until its members change. A member is rightly without partitions where there are more members than
partitions. So the first pause is short, and each one is twice as long as the one before.
"""

from __future__ import annotations

import time
from collections.abc import Callable

FIRST_S = 15.0
MAX_PAUSE_S = 600.0


class AssignmentWatch:
    """The pauses of one member."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pause_s = FIRST_S
        self._without_since: float | None = None

    def must_rejoin(self, *, has_partitions: bool) -> bool:
        """Call it after each poll; True once per pause without partitions."""
        now = self._clock()
        if has_partitions:
            self._pause_s, self._without_since = FIRST_S, None
            return False
        if self._without_since is None:
            self._without_since = now
        if now - self._without_since < self._pause_s:
            return False
        self._pause_s, self._without_since = min(2 * self._pause_s, MAX_PAUSE_S), None
        return True
