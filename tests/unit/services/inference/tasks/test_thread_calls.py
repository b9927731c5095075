from __future__ import annotations

import asyncio
import threading

import pytest

from services.inference.tasks.thread_calls import on_thread


def test_result_and_error_are_those_of_the_call() -> None:
    assert asyncio.run(on_thread(divmod, 7, 2)) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        asyncio.run(on_thread(divmod, 7, 0))


def test_cancellation_waits_for_the_thread() -> None:
    began, go_on, ended = (threading.Event() for _ in range(3))

    def work() -> None:
        began.set()
        go_on.wait(10)
        ended.set()

    async def cancel() -> None:
        task = asyncio.create_task(on_thread(work))
        while not began.is_set():
            await asyncio.sleep(0)
        task.cancel()
        asyncio.get_running_loop().call_later(0.05, go_on.set)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended.is_set()

    asyncio.run(cancel())
