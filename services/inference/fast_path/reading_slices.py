"""Reads long bodies for at most a slice of time in each iteration of the loop; what is left is read in the next ones, in order.

The loop calls every connection that has bytes before it comes back to its first one. With 64 of them, and a millisecond or two to
read each body, a liveness probe that arrives last would wait for all. A supervisor would restart a server that is only busy.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

from services.inference.prediction.model_queue import SLICE_SECONDS

# Shorter bodies cost less to read than to put aside.
LONG_BYTES = 4096

Read = Callable[[], None]


class ReadingSlices:
    """The bodies of one loop that wait to be read."""

    def __init__(
        self, seconds: float = SLICE_SECONDS, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        """`seconds`: of reading per iteration; the last body that begins within them is read to its end."""
        self.seconds = seconds
        self._clock = clock
        self._spent = 0.0
        self._scheduled = False
        self._waiting: deque[Read] = deque()

    def submit(self, read: Read) -> None:
        """Call `read` now, or in a later iteration of the running loop."""
        self._waiting.append(read)
        if not self._scheduled:
            self._schedule()
        if len(self._waiting) == 1 and self._spent <= self.seconds:
            self._read_next()

    def _continue(self) -> None:
        self._spent, self._scheduled = 0.0, False
        if self._waiting:
            self._schedule()  # first: one that fails must not hold up the others
            while self._waiting and self._spent <= self.seconds:
                self._read_next()

    def _read_next(self) -> None:
        began = self._clock()
        self._waiting.popleft()()
        self._spent += self._clock() - began

    def _schedule(self) -> None:
        self._scheduled = True
        asyncio.get_running_loop().call_soon(self._continue)
