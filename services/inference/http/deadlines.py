"""One deadline for many tasks: a single timer looks at all of them, instead of one timer for each."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_LOOKS = 8  # looks per deadline: a task is cut at most this share of its time late


class Deadlines:
    """Ends what takes longer than `seconds`, at most an eighth of it late. Belongs to the loop it is first used on."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._ends: dict[asyncio.Task[Any], float] = {}
        self._late: set[asyncio.Task[Any]] = set()
        self._timer: asyncio.TimerHandle | None = None

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Raise TimeoutError in the block if it is still waiting when its time is over."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("deadlines are for code that runs in a task")
        loop = task.get_loop()
        self._ends[task] = loop.time() + self._seconds
        if self._timer is None:
            self._timer = loop.call_later(self._seconds / _LOOKS, self._look, loop)
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

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for task, end in self._ends.items():
            if now >= end and task not in self._late:
                self._late.add(task)
                task.cancel()
        self._timer = loop.call_later(self._seconds / _LOOKS, self._look, loop) if self._ends else None
