from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from services.inference.models.slot import ModelUnloaded, Slots
from services.inference.on_demand.model_pool import ModelPool
from shared.contracts.release import Release
from shared.errors import NotFound, OperatorError, UnservableModel
from tests.fakes.releases import release_of
from tests.waiting import bound


class FakeServable:
    device = "cpu"

    def __init__(self, release: Release) -> None:
        self.release, self.model, self.generation = release, release.model, release.generation
        self.in_flight = 0
        self.retired = self.closed = False

    def close(self) -> None:
        self.closed = True


class FakeMetrics:
    def __init__(self) -> None:
        self.counted: list[str] = []

    def loaded(self, servable: Any, *, seconds: float) -> None:
        self.counted.append(f"loaded {servable.model}")

    def load_failed(self, model: str) -> None:
        self.counted.append(f"failed {model}")

    def timed_out(self, model: str) -> None:
        self.counted.append(f"timed out {model}")


class World:
    """A pool whose loads wait for `go`."""

    def __init__(self, *models: str, wait_seconds: float = 60.0, maximum_waiting: int = 100) -> None:
        self.slots: Slots[Any] = Slots()
        for model in models:
            self.slots.register(release_of(model, 1))
        self.loads: list[Release] = []
        self.go = threading.Event()
        self.go.set()
        self.started = threading.Event()
        self.problem: Exception | None = None
        self.now = 0.0
        self.metrics = FakeMetrics()
        self.pool = ModelPool(
            self.slots,
            self._load,
            self.metrics,
            wait_seconds=wait_seconds,
            maximum_waiting=maximum_waiting,
            clock=lambda: self.now,
        )

    def _load(self, release: Release) -> Any:
        self.loads.append(release)
        self.started.set()
        assert self.go.wait(bound(60))
        if self.problem is not None:
            raise self.problem
        return FakeServable(release)

    def run(self, test: Callable[[], Awaitable[None]]) -> None:
        async def bounded() -> None:
            await asyncio.wait_for(test(), bound(60))
            self.pool.close()

        asyncio.run(bounded())


def test_loaded_model_is_acquired_at_once() -> None:
    world = World()
    world.slots.swap(FakeServable(release_of("toy", 1)))

    async def test() -> None:
        servable = await world.pool.acquire("toy")
        assert servable.in_flight == 1
        world.pool.release(servable)
        assert servable.in_flight == 0

    world.run(test)
    assert world.loads == []


def test_requests_for_one_model_share_a_load() -> None:
    world = World("toy")
    world.go.clear()

    async def test() -> None:
        waiting = [asyncio.create_task(world.pool.acquire("toy")) for _ in range(5)]
        await asyncio.to_thread(world.started.wait, 60)
        world.go.set()
        servables = await asyncio.gather(*waiting)
        assert {id(one) for one in servables} == {id(servables[0])}
        # Acquired for all before anything else could unload it.
        assert servables[0].in_flight == 5

    world.run(test)
    assert world.loads == [release_of("toy", 1)]
    assert world.metrics.counted == ["loaded toy"]


def test_loaded_model_answers_while_another_loads() -> None:
    world = World("slow")
    world.slots.swap(FakeServable(release_of("toy", 1)))
    world.go.clear()

    async def test() -> None:
        slow = asyncio.create_task(world.pool.acquire("slow"))
        await asyncio.to_thread(world.started.wait, 60)
        assert (await world.pool.acquire("toy")).model == "toy"
        assert not slow.done()
        world.go.set()
        assert (await slow).model == "slow"

    world.run(test)


def test_wait_is_bounded_and_the_load_goes_on() -> None:
    world = World("toy", wait_seconds=0.01)
    world.go.clear()

    async def test() -> None:
        with pytest.raises(ModelUnloaded, match=r"not in memory after 0.01 s") as late:
            await world.pool.acquire("toy")
        assert late.value.status == 503
        world.go.set()
        while world.slots.peek("toy") is None:
            await asyncio.sleep(0.01)
        servable = await world.pool.acquire("toy")
        # The request that went away holds nothing.
        assert servable.in_flight == 1

    world.run(test)
    assert len(world.loads) == 1
    assert world.metrics.counted == ["timed out toy", "loaded toy"]


def test_number_of_waiting_requests_is_bounded() -> None:
    world = World("a", "b", maximum_waiting=2)
    world.go.clear()

    async def test() -> None:
        waiting = [asyncio.create_task(world.pool.acquire(name)) for name in "ab"]
        await asyncio.to_thread(world.started.wait, 60)
        with pytest.raises(ModelUnloaded, match="2 requests wait"):
            await world.pool.acquire("a")
        world.go.set()
        await asyncio.gather(*waiting)
        assert (await world.pool.acquire("a")).in_flight == 2

    world.run(test)


def test_cancelled_request_holds_nothing() -> None:
    world = World("toy")
    world.go.clear()

    async def test() -> None:
        gone, stays = (asyncio.create_task(world.pool.acquire("toy")) for _ in range(2))
        await asyncio.to_thread(world.started.wait, 60)
        gone.cancel()
        world.go.set()
        assert (await stays).in_flight == 1
        assert gone.cancelled()

    world.run(test)


def test_request_cancelled_while_its_model_is_handed_over_holds_nothing() -> None:
    world = World("toy")

    async def test() -> None:
        loop = asyncio.get_running_loop()
        gone = asyncio.create_task(world.pool.acquire("toy"))

        # Called right before the model is handed over: the request is cancelled before it sees it.
        def cancel(servable: Any, *, seconds: float) -> None:
            loop.call_soon(gone.cancel)

        world.metrics.loaded = cancel  # type: ignore[method-assign]
        with pytest.raises(asyncio.CancelledError):
            await gone
        live = world.slots.peek("toy")
        assert live is not None
        assert live.in_flight == 0

    world.run(test)


def test_request_that_went_away_no_longer_counts_as_waiting() -> None:
    world = World("toy", maximum_waiting=1)
    world.go.clear()

    async def test() -> None:
        gone = asyncio.create_task(world.pool.acquire("toy"))
        await asyncio.to_thread(world.started.wait, 60)
        gone.cancel()
        await asyncio.wait([gone])
        stays = asyncio.create_task(world.pool.acquire("toy"))
        await asyncio.sleep(0)
        world.go.set()
        assert (await stays).in_flight == 1

    world.run(test)


def test_failed_load_answers_all_and_is_not_repeated_at_once() -> None:
    world = World("toy")
    world.problem = UnservableModel("no signature")

    async def test() -> None:
        answers = await asyncio.gather(*(world.pool.acquire("toy") for _ in range(3)), return_exceptions=True)
        assert [str(one) for one in answers] == [str(answers[0])] * 3
        assert isinstance(answers[0], OperatorError)
        assert "cannot be loaded: no signature" in str(answers[0])
        assert world.pool.problem("toy") == "no signature"
        with pytest.raises(OperatorError, match="no signature"):
            await world.pool.acquire("toy")
        assert len(world.loads) == 1
        world.now += 1.0
        world.problem = None
        assert (await world.pool.acquire("toy")).model == "toy"
        assert world.pool.problem("toy") == ""

    world.run(test)
    assert world.metrics.counted == ["failed toy", "loaded toy"]


def test_pause_after_failures_grows_to_half_a_minute() -> None:
    world = World("toy")
    world.problem = UnservableModel("no signature")

    async def test() -> None:
        for pause in (1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0):
            with pytest.raises(OperatorError):
                await world.pool.acquire("toy")
            loads = len(world.loads)
            world.now += pause - 0.5
            with pytest.raises(OperatorError):
                await world.pool.acquire("toy")
            assert len(world.loads) == loads
            world.now += 0.5

    world.run(test)


def test_newer_release_served_meanwhile_is_what_requests_get() -> None:
    world = World("toy")
    world.go.clear()

    async def test() -> None:
        waiting = asyncio.create_task(world.pool.acquire("toy"))
        await asyncio.to_thread(world.started.wait, 60)
        world.slots.swap(FakeServable(release_of("toy", 2)))
        world.go.set()
        assert (await waiting).generation == 2

    world.run(test)
    assert world.metrics.counted == []


def test_unknown_model_is_not_found() -> None:
    world = World("toy")

    async def test() -> None:
        with pytest.raises(NotFound):
            await world.pool.acquire("other")

    world.run(test)
    assert world.loads == []
