from __future__ import annotations

import asyncio
import time

import pytest

from services.inference.http.deadlines import Deadlines
from tests.waiting import bound


def test_only_late_tasks_time_out() -> None:
    async def both() -> tuple[object, object]:
        deadlines = Deadlines(0.2)

        async def wait(seconds: float) -> str:
            with deadlines.watch():
                await asyncio.sleep(seconds)
            return "done"

        return await asyncio.gather(wait(0.05), wait(60), return_exceptions=True)

    start = time.monotonic()
    quick, slow = asyncio.run(both())
    assert quick == "done"
    assert isinstance(slow, TimeoutError)
    assert 0.19 < time.monotonic() - start < bound(2)


def test_outside_cancellation_is_kept() -> None:
    async def cancelled() -> None:
        deadlines = Deadlines(60)

        async def wait() -> None:
            with deadlines.watch():
                await asyncio.sleep(60)

        task = asyncio.create_task(wait())
        await asyncio.sleep(0.01)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancelled())


def test_timer_ends_with_last_task() -> None:
    async def alone() -> bool:
        deadlines = Deadlines(0.08)
        with deadlines.watch():
            await asyncio.sleep(0)
        await asyncio.sleep(0.1)
        return deadlines._timer is None

    assert asyncio.run(alone())


def test_many_late_tasks_end_in_several_iterations() -> None:
    """Each of them answers its client at once: together they would hold up everybody else."""

    async def together() -> list[int]:
        deadlines = Deadlines(0.05)
        iterations, ended = [0], []

        def count() -> None:
            iterations[0] += 1
            asyncio.get_running_loop().call_soon(count)

        async def wait() -> None:
            with deadlines.watch():
                await asyncio.sleep(60)

        async def note() -> None:
            try:
                await wait()
            except TimeoutError:
                ended.append(iterations[0])

        count()
        await asyncio.gather(*(note() for _ in range(100)))
        return ended

    ended = asyncio.run(together())
    assert len(ended) == 100
    assert max(ended.count(iteration) for iteration in set(ended)) <= 16
