"""Threads of their own for routes that must answer while other routes block.

FastAPI runs plain functions on one pool of threads. Forty requests that wait for a slow disk or store would take all of them, and
`/metrics` and `/status` would wait as well, just when an operator needs them. Health routes use no thread at all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from anyio import CapacityLimiter, move_on_after, to_thread

from shared.errors import OperatorError

Result = TypeVar("Result")


class OwnThreads:
    """At most `count` threads; further calls wait for one of them, `wait_seconds` at most (None: for ever)."""

    def __init__(self, count: int, wait_seconds: float | None = None) -> None:
        self._count = count
        self._wait_seconds = wait_seconds
        self._limiters: tuple[CapacityLimiter, CapacityLimiter] | None = None

    async def run(self, call: Callable[[], Result]) -> Result:
        """The result of `call`, made on a thread. Call it on one event loop only. Raises OperatorError if none becomes free."""
        if self._limiters is None:
            self._limiters = CapacityLimiter(self._count), CapacityLimiter(self._count)
        waiting, running = self._limiters
        turn = object()
        with move_on_after(self._wait_seconds) as limit:
            await waiting.acquire_on_behalf_of(turn)
        if limit.cancelled_caught:
            raise OperatorError(
                "too many other requests of this kind are being answered", hint="retry after some seconds"
            )
        try:
            # Whoever has a turn has a thread: this one does not wait.
            return await to_thread.run_sync(call, limiter=running)
        finally:
            waiting.release_on_behalf_of(turn)
