"""One timeout for many tasks, checked by a single timer instead of one timer per task."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

IsOver = Callable[[], bool]
# So many at once: each of them answers its client in the same iteration of the loop.
_CANCELLED_AT_ONCE = 16
_CHECKS = 8  # checks per timeout: a task is cancelled at most an eighth of the timeout late
_MAXIMUM_PAUSE_S = 1.0


class Deadlines:
    """Cancels blocks that take longer than `seconds`, at most an eighth of that and a second late. For one event loop."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._pause = min(seconds / _CHECKS, _MAXIMUM_PAUSE_S)
        self._ends: dict[asyncio.Task[Any], tuple[float, IsOver | None]] = {}
        self._late: set[asyncio.Task[Any]] = set()
        self._timer: asyncio.TimerHandle | None = None

    @contextmanager
    def watch(self, is_over: IsOver | None = None) -> Iterator[None]:
        """Raises TimeoutError in the block if it still waits when its time is over, or `is_over` says so at a check."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("deadlines work only in a task")
        loop = task.get_loop()
        self._ends[task] = loop.time() + self._seconds, is_over
        if self._timer is None:
            self._timer = loop.call_later(self._pause, self._check, loop)
        try:
            yield
        except asyncio.CancelledError:
            if task not in self._late:
                raise
            task.uncancel()
            raise TimeoutError from None
        finally:
            del self._ends[task]
            self._late.discard(task)

    def _check(self, loop: asyncio.AbstractEventLoop) -> None:
        now, cancelled = loop.time(), 0
        for task, (end, is_over) in self._ends.items():
            if task not in self._late and (now >= end or (is_over is not None and is_over())):
                if cancelled == _CANCELLED_AT_ONCE:
                    self._timer = loop.call_later(0, self._check, loop)
                    return
                cancelled += 1
                self._late.add(task)
                task.cancel()
        self._timer = loop.call_later(self._pause, self._check, loop) if self._ends else None
