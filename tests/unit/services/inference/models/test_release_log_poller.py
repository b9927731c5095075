from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from services.inference.declared_precision import Form
from services.inference.models.metrics import ReleaseMetrics
from services.inference.models.release_log_poller import ReleaseLogPoller
from services.inference.models.servable import Servable
from services.inference.models.slot import Slots
from shared.contracts.release import Release, Slot
from shared.errors import DependencyUnavailable, IntegrityError, NotFound, OperatorError, UnservableModel
from tests.fakes.releases import release_of
from tests.fakes.toy_model import ToyStore


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class FakeLog:
    """A release log with a memory, which can be away."""

    def __init__(self) -> None:
        self.newest: dict[str, Release] = {}
        self.sides: dict[str, dict[Slot, Release]] = {}
        self.entries: dict[tuple[str, int], Release] = {}
        self.unreachable = False
        self.broken: dict[str, Exception] = {}

    def models(self) -> list[str]:
        if self.unreachable:
            raise DependencyUnavailable("the model store does not answer")
        return sorted({*self.newest, *self.broken})

    def slots(self, model: str) -> dict[Slot, Release]:
        if model in self.broken:
            raise self.broken[model]
        served: dict[Slot, Release] = {"live": self.newest[model]} if model in self.newest else {}
        return {**served, **self.sides.get(model, {})}

    def release(self, model: str, generation: int) -> Release:
        return self.entries[model, generation]


class FakeServable:
    """Stands in for a loaded version."""

    device = "cpu"
    form = Form()
    runtime = "onnxruntime"
    difference = None

    def __init__(self, release: Release) -> None:
        self.release = release
        self.model = release.model
        self.version = release.version
        self.version_short = release.version[:12]
        self.generation = release.generation
        self.in_flight = 0
        self.retired = False
        self.closed = False

    def close(self) -> None:
        self.closed = True


class World:
    def __init__(self, only: tuple[str, ...] = ()) -> None:
        self.log = FakeLog()
        self.clock = Clock()
        self.slots: Slots[Any] = Slots()
        self.loaded: list[Release] = []
        self.broken: set[str] = set()
        self.registry = CollectorRegistry()
        self.poller = ReleaseLogPoller(
            self.log,
            self.slots,
            self._load,
            metrics=ReleaseMetrics(self.registry),
            on_loop=_at_once,
            only=only,
            poll_seconds=0.1,
            retry_seconds=10.0,
            clock=self.clock,
        )

    def _load(self, release: Release) -> Servable:
        self.loaded.append(release)
        if release.version in self.broken:
            raise UnservableModel(f"version {release.version} is broken")
        return FakeServable(release)  # type: ignore[return-value]

    def release(self, generation: int, version: str, model: str = "toy") -> None:
        self.log.newest[model] = release_of(model, generation, version)
        self.log.entries[model, generation] = self.log.newest[model]

    def served(self, model: str = "toy") -> tuple[int, str] | None:
        servable = self.slots.peek(model)
        return (servable.generation, servable.version) if servable else None

    def sample(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)


def _at_once(function: Callable[[], bool]) -> bool:
    return function()


@pytest.fixture
def world() -> World:
    return World()


def test_new_release_is_loaded_once(world: World) -> None:
    world.release(1, "a")
    world.poller.poll()
    world.poller.poll()
    assert world.served() == (1, "a")
    assert len(world.loaded) == 1
    assert world.sample("homeostat_inference_generation", model="toy") == 1
    assert world.sample("homeostat_inference_swaps_total", model="toy", result="served") == 1


def test_first_poll_is_over_when_every_model_was_loaded(world: World) -> None:
    world.release(1, "a")
    world.release(1, "b", "other")
    world.broken.add("b")
    seen: list[bool] = []

    def load(release: Release) -> Servable:
        seen.append(world.poller.has_polled)
        return world._load(release)

    world.poller._load = load
    world.poller.poll()
    assert (seen, world.poller.has_polled) == ([False, False], True)


def test_rollback_is_a_new_generation(world: World) -> None:
    for generation, version in ((1, "a"), (2, "b"), (3, "a")):
        world.release(generation, version)
        world.poller.poll()
    assert world.served() == (3, "a")


def test_replaced_version_is_closed_when_drained(world: World) -> None:
    world.release(1, "a")
    world.poller.poll()
    old = world.slots.acquire("toy")
    world.release(2, "b")
    world.poller.poll()
    assert not old.closed
    assert world.sample("homeostat_inference_loaded_versions", model="toy") == 2
    world.slots.release(old)
    world.poller.poll()
    assert old.closed
    assert world.sample("homeostat_inference_loaded_versions", model="toy") == 1


def test_failed_load_keeps_live_version_and_retries(world: World) -> None:
    world.release(1, "a")
    world.poller.poll()
    world.release(2, "b")
    world.broken.add("b")
    for _ in range(5):
        world.poller.poll()
    assert world.served() == (1, "a")
    assert len(world.loaded) == 2
    assert "broken" in world.poller.problem("toy")
    assert world.sample("homeostat_inference_swaps_total", model="toy", result="failed") == 1

    world.broken.clear()
    world.clock.now += 10.0
    world.poller.poll()
    assert world.served() == (2, "b")
    assert world.poller.problem("toy") == ""


def test_newer_release_is_loaded_after_failure(world: World) -> None:
    world.release(1, "a")
    world.broken.add("a")
    world.poller.poll()
    assert world.poller.failing() == ["toy"]
    world.release(2, "b")
    world.poller.poll()
    assert world.served() == (2, "b")


def test_older_generation_is_refused(world: World) -> None:
    world.release(5, "e")
    world.poller.poll()
    world.release(4, "d")
    world.poller.poll()
    assert world.served() == (5, "e")
    assert len(world.loaded) == 1
    assert "went back from generation 5 to 4" in world.poller.problem("toy")


def test_release_failed_metric(world: World) -> None:
    def failed() -> float | None:
        return world.sample("homeostat_inference_release_failed", model="toy")

    assert failed() is None
    shown = []
    world.broken.add("b")
    for generation, version in ((1, "a"), (2, "b"), (3, "c"), (2, "b"), (3, "c")):
        world.release(generation, version)
        world.poller.poll()
        shown.append(failed())
    # The last two: a release log that went back, and was restored.
    assert shown == [0, 1, 0, 1, 0]


def test_unknown_load_error_keeps_live_version(world: World) -> None:
    world.release(1, "a")
    world.poller.poll()
    world.release(2, "b")
    world.poller._load = lambda release: 1 / 0  # type: ignore[assignment,return-value]
    world.poller.poll()
    assert world.served() == (1, "a")
    assert world.poller.problem("toy") == "division by zero"


def test_store_unavailable_keeps_live_version(world: World) -> None:
    assert world.poller.store_problem == "not read yet"
    assert world.poller.seconds_since_read() is None
    world.release(1, "a")
    world.poller.poll()
    world.log.unreachable = True
    world.clock.now += 7.0
    world.poller.poll()
    assert world.served() == (1, "a")
    assert "does not answer" in world.poller.store_problem
    assert world.poller.seconds_since_read() == 7.0
    world.log.unreachable = False
    world.poller.poll()
    assert world.poller.store_problem == ""


def test_only_configured_models_are_loaded() -> None:
    world = World(only=("toy",))
    world.release(1, "a")
    world.release(1, "b", model="other")
    world.poller.poll()
    assert world.served("other") is None
    assert world.served() == (1, "a")


def test_broken_model_does_not_block_others(world: World) -> None:
    world.release(1, "a", model="alpha")
    world.release(1, "b", model="beta")
    world.broken.add("a")
    world.poller.poll()
    assert world.served("beta") == (1, "b")
    assert world.served("alpha") is None
    assert world.poller.has_polled


def test_polling_thread_starts_and_stops(toys: ToyStore, world: World) -> None:
    world.release(1, "a")
    world.poller.start()
    try:
        for _ in range(200):
            if world.served():
                break
            world.poller._stop.wait(0.02)
    finally:
        world.poller.stop()
    assert world.served() == (1, "a")
    assert not world.poller._thread.is_alive()


@pytest.mark.parametrize(
    "error", [IntegrityError("torn"), DependencyUnavailable("no permission"), ValueError("odd")]
)
def test_unreadable_release_is_a_problem_of_its_model_only(world: World, error: Exception) -> None:
    world.release(1, "a", "good")
    world.release(1, "a", "bad")
    world.poller.poll()
    world.log.broken["bad"] = error
    world.release(2, "b", "good")
    world.poller.poll()
    world.poller.poll()
    assert world.served("good") == (2, "b")
    assert world.served("bad") == (1, "a"), "what is live stays live"
    assert world.poller.store_problem == ""
    assert world.poller.failing() == ["bad"]
    assert str(error) in world.poller.problem("bad")
    assert world.sample("homeostat_inference_release_failed", model="bad") == 1
    assert world.sample("homeostat_inference_release_failed", model="good") == 0

    del world.log.broken["bad"]
    world.release(2, "c", "bad")
    world.poller.poll()
    assert world.served("bad") == (2, "c"), "without a pause"
    assert world.poller.failing() == []
    assert world.sample("homeostat_inference_release_failed", model="bad") == 0


def test_store_that_fails_for_every_model_is_a_problem_of_the_store(world: World) -> None:
    world.log.broken = {"a": DependencyUnavailable("away"), "b": DependencyUnavailable("away")}
    world.poller.poll()
    assert world.poller.store_problem == "away"
    assert world.poller.failing() == []


def test_load_that_is_given_up_at_a_stop_is_no_failure(world: World) -> None:
    world.release(1, "a")
    world.broken.add("a")
    load = world.poller._load

    def stopped(release: Release) -> Servable:
        world.poller.begin_stop()
        return load(release)

    world.poller._load = stopped
    world.poller.poll()
    assert world.loaded
    assert world.poller.failing() == []
    assert world.sample("homeostat_inference_swaps_total", model="toy", result="failed") is None


def test_restarted_server_serves_the_last_release_that_can_be_loaded(world: World) -> None:
    for generation, version in enumerate(("a", "b", "bad", "bad"), start=1):
        world.release(generation, version)
    world.broken |= {"bad"}
    world.poller.poll()
    assert world.served() == (2, "b")
    assert [release.version for release in world.loaded] == ["bad", "b"], "each version once"
    assert world.poller.failing() == ["toy"]
    assert world.sample("homeostat_inference_release_failed", model="toy") == 1
    assert world.sample("homeostat_inference_generation", model="toy") == 2
    assert world.sample("homeostat_inference_loaded_versions", model="toy") == 1

    # From now on as in a server that has served it all the time.
    world.clock.now += 10
    world.poller.poll()
    assert [release.version for release in world.loaded] == ["bad", "b", "bad"]
    world.release(5, "c")
    world.poller.poll()
    assert world.served() == (5, "c")
    assert world.poller.failing() == []


def test_earlier_release_that_came_too_late_is_closed(world: World) -> None:
    world.release(1, "a")
    world.release(2, "bad")
    world.broken |= {"bad"}
    load = world.poller._load
    late: list[Any] = []

    def another_is_first(release: Release) -> Servable:
        servable = load(release)
        late.append(servable)
        world.slots.swap(FakeServable(release_of("toy", 2, "c")))
        return servable

    world.poller._load = another_is_first
    world.poller.poll()
    assert world.served() == (2, "c")
    assert [(servable.version, servable.closed) for servable in late] == [("a", True)]
    assert world.sample("homeostat_inference_loaded_versions", model="toy") in (None, 0)


def test_earlier_release_is_not_loaded_beside_a_live_one(world: World) -> None:
    world.release(1, "a")
    world.release(2, "b")
    world.poller.poll()
    world.release(3, "bad")
    world.broken |= {"bad"}
    world.poller.poll()
    assert world.served() == (2, "b")
    assert [release.version for release in world.loaded] == ["b", "bad"]


def test_request_for_a_released_model_that_is_not_loaded_may_be_retried(world: World) -> None:
    world.release(1, "a", "good")
    world.release(1, "b", "bad")
    world.broken.add("b")
    world.poller.poll()
    assert world.slots.acquire("good").version == "a"
    with pytest.raises(OperatorError, match="model bad is released, but not loaded yet"):
        world.slots.acquire("bad")
    with pytest.raises(NotFound):
        world.slots.acquire("unknown")
