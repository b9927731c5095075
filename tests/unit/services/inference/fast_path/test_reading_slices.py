"""Long bodies do not keep the loop from other connections."""

from __future__ import annotations

import asyncio

from services.inference.fast_path.reading_slices import ReadingSlices


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_reading_leaves_the_loop_to_others_between_slices() -> None:
    clock, events = Clock(), list[str]()
    slices = ReadingSlices(0.005, clock)

    def read(number: int) -> None:
        clock.now += 0.003
        events.append(str(number))

    async def run() -> None:
        loop = asyncio.get_running_loop()

        def others() -> None:
            events.append("others")
            if len(events) < 12:
                loop.call_soon(others)

        loop.call_soon(others)
        for number in range(6):
            slices.submit(lambda number=number: read(number))  # type: ignore[misc]
        while len(events) < 12:
            await asyncio.sleep(0)

    asyncio.run(run())
    assert [one for one in events if one != "others"] == list("012345")
    longest = max(len(part.split()) for part in " ".join(events).split("others"))
    assert longest == 2  # the second begins within the slice
    assert events[:2] == ["0", "1"]  # at once


def test_first_of_each_iteration_are_read_at_once() -> None:
    clock, events = Clock(), list[int]()
    slices = ReadingSlices(0.005, clock)

    async def run() -> None:
        for number in range(5):
            clock.now += 1.0  # between bodies, which is not reading
            slices.submit(lambda number=number: events.append(number))  # type: ignore[misc]
            assert events == list(range(number + 1))
            await asyncio.sleep(0)

    asyncio.run(run())


def test_one_that_fails_does_not_hold_up_the_others() -> None:
    clock, events = Clock(), list[int]()
    slices = ReadingSlices(0.0, clock)

    def first() -> None:
        clock.now += 1.0  # so that the others are put aside
        events.append(0)

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: events.append(-1))
        slices.submit(first)
        slices.submit(lambda: 1 / 0)  # type: ignore[arg-type]
        slices.submit(lambda: events.append(2))
        for _ in range(5):
            await asyncio.sleep(0)

    asyncio.run(run())
    assert events == [0, -1, 2]
