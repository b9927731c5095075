"""Threads of their own for routes that must answer while other routes block.

FastAPI runs plain functions on one pool of threads. Forty requests that wait for a slow disk or store would take all of them, and
`/metrics` and `/status` would wait as well, just when an operator needs them. Health routes use no thread at all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

Result = TypeVar("Result")


class OwnThreads:
    """At most `count` threads; further calls wait for one of them."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._limiter: CapacityLimiter | None = None

    async def run(self, call: Callable[[], Result]) -> Result:
        """The result of `call`, made on a thread. Call it on one event loop only."""
        if self._limiter is None:
            self._limiter = CapacityLimiter(self._count)
        return await to_thread.run_sync(call, limiter=self._limiter)
