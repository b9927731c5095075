from __future__ import annotations

import asyncio
from threading import Event, current_thread

from shared.errors import OperatorError
from shared.http.own_threads import OwnThreads
from tests.waiting import time_factor


def test_calls_use_own_threads_and_at_most_so_many() -> None:
    async def run() -> tuple[list[str], int]:
        threads, free, running = OwnThreads(2), Event(), []

        def call() -> str:
            running.append(1)
            free.wait(10 * time_factor())
            return current_thread().name

        calls = [asyncio.create_task(threads.run(call)) for _ in range(5)]
        async with asyncio.timeout(10 * time_factor()):
            while len(running) < 2:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        at_once = len(running)
        free.set()
        return list(await asyncio.gather(*calls)), at_once

    names, at_once = asyncio.run(run())
    assert at_once == 2
    assert len(names) == 5
    assert "MainThread" not in names


def test_an_error_of_the_call_is_raised() -> None:
    def fail() -> None:
        raise ValueError("no")

    async def run() -> str:
        try:
            await OwnThreads(1).run(fail)
        except ValueError as error:
            return str(error)
        return ""

    assert asyncio.run(run()) == "no"


def test_call_that_waits_too_long_for_a_thread_is_refused() -> None:
    async def run() -> list[str | BaseException]:
        threads, free = OwnThreads(1, wait_seconds=0.1), Event()

        def call() -> str:
            assert free.wait(10 * time_factor())
            return "answered"

        first = asyncio.create_task(threads.run(call))
        refused = await asyncio.gather(threads.run(call), threads.run(call), return_exceptions=True)
        free.set()
        return [*refused, await first, await threads.run(call)]

    *refused, first, later = asyncio.run(run())
    assert [type(one) for one in refused] == [OperatorError, OperatorError]
    assert (first, later) == ("answered", "answered")
