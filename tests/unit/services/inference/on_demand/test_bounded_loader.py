from __future__ import annotations

import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest

from services.inference.models.slot import Slots
from services.inference.on_demand.bounded_loader import BoundedLoader
from services.inference.on_demand.memory_meter import MemoryMeter
from shared.contracts.release import Release
from shared.errors import OperatorError, UnservableModel
from tests.fakes.releases import release_of
from tests.waiting import bound, eventually

T = TypeVar("T")
MIB = 1 << 20


class FakeServable:
    def __init__(self, release: Release, manifest: Any) -> None:
        self.release, self.manifest = release, manifest
        self.model, self.generation, self.version_short = release.model, release.generation, "a"
        self.memory_bytes = self.in_flight = 0
        self.retired = self.closed = False

    def close(self) -> None:
        self.closed = True


class World:
    """Models whose memory is known: `taken` is what a loaded one takes, `files` the size of its file, in MiB."""

    def __init__(self, bound: int, room_seconds: float = 0.1, trials_are_measured: bool = False) -> None:
        self.slots: Slots[Any] = Slots()
        self.files: dict[str, int] = {}
        self.taken: dict[str, int] = {}
        self.predicted: dict[str, float] = {}
        self.unloaded: list[str] = []
        self.loads: list[str] = []
        self.now = 0.0
        self.memory = 0
        self.do_load: Callable[[Release], Any] = self._load
        self.do_try: Callable[[Release, Callable[[], bool]], None] = lambda release, is_wanted: None
        self.newest: dict[str, int] = {}
        self.fetched: list[str] = []
        self.loader = BoundedLoader(
            self.slots,
            self,
            self._manifest,
            bound_bytes=bound * MIB,
            meter=MemoryMeter(lambda: self.memory, lambda: None),
            on_loop=_at_once,
            last_predictions=lambda: self.predicted,
            unloaded=lambda servable: self.unloaded.append(servable.model),
            clock=lambda: self.now,
            room_seconds=room_seconds,
            trials_are_measured=trials_are_measured,
        )

    def _manifest(self, release: Release) -> Any:
        size = self.files.get(release.model, 1) * MIB
        return SimpleNamespace(
            files={
                "model.onnx": SimpleNamespace(size=size),
                "reference.parquet": SimpleNamespace(size=1 << 40),
            }
        )

    def _load(self, release: Release) -> Any:
        self.loads.append(release.model)
        self.memory += self.taken.get(release.model, 0) * MIB
        return FakeServable(release, self._manifest(release))

    # The steps of a load.

    def fetch(self, release: Release) -> Any:
        self.fetched.append(release.model)
        return SimpleNamespace(release=release)

    def is_newest(self, release: Release) -> bool:
        return release.generation >= self.newest.get(release.model, 0)

    def try_out(self, candidate: Any, is_wanted: Callable[[], bool]) -> None:
        self.do_try(candidate.release, is_wanted)

    def open(self, candidate: Any) -> Any:
        return self.do_load(candidate.release)

    def serve(self, model: str, generation: int = 1) -> FakeServable:
        self.now += 1
        servable = self.loader.load(release_of(model, generation))
        assert self.slots.swap(servable)
        assert isinstance(servable, FakeServable)
        return servable

    def start(self, model: str, slot: str = "canary", generation: int = 2) -> FakeServable:
        release = release_of(model, generation).model_copy(update={"slot": slot, "share": 0.5})
        servable = self.loader.load(release)
        assert self.slots.sides.put(servable)
        assert isinstance(servable, FakeServable)
        return servable

    def loaded(self) -> list[str]:
        return [servable.model for servable in self.slots.current()]


def _at_once(function: Callable[[], T]) -> T:
    return function()


def test_least_recently_used_model_makes_room() -> None:
    world = World(bound=3)
    first = world.serve("a")
    world.serve("b")
    world.serve("c")
    world.predicted["a"] = 3.5
    world.serve("d")
    assert world.loaded() == ["a", "c", "d"]
    assert world.unloaded == ["b"]
    assert not first.closed


def test_growth_counts_if_it_is_more_than_the_file() -> None:
    world = World(bound=10)
    world.files, world.taken = {"a": 2, "b": 2}, {"a": 6, "b": 1}
    assert world.serve("a").memory_bytes == 6 * MIB
    assert world.serve("b").memory_bytes == 2 * MIB
    assert world.loader.loaded_bytes() == 8 * MIB


def test_room_is_made_again_for_what_was_measured() -> None:
    world = World(bound=10)
    world.taken = {"a": 4, "b": 8}
    world.serve("a")
    world.serve("b")
    assert world.loaded() == ["b"]


def test_known_size_makes_room_before_the_load() -> None:
    world = World(bound=10)
    world.taken = {"a": 8, "b": 4}
    world.serve("a")
    world.serve("b")
    seen: list[list[str]] = []
    load = world._load

    def observed(release: Release) -> Any:
        seen.append(world.loaded())
        return load(release)

    world.do_load = observed
    world.serve("a")
    assert seen == [[]]


def test_model_larger_than_the_bound_is_not_loaded() -> None:
    world = World(bound=3)
    world.serve("a")
    world.files["big"] = 4
    with pytest.raises(OperatorError, match=r"big needs 4.0 MiB.*HOMEOSTAT_INFERENCE_MODEL_MEMORY_MIB=3"):
        world.loader.load(release_of("big", 1))
    assert world.fetched == world.loads == ["a"]
    assert world.loaded() == ["a"]


def test_model_that_turns_out_larger_is_closed() -> None:
    world = World(bound=3)
    world.serve("a")
    world.taken["big"] = 4
    made: list[Any] = []
    load = world._load

    def observed(release: Release) -> Any:
        made.append(load(release))
        return made[-1]

    world.do_load = observed
    with pytest.raises(OperatorError, match="big needs 4"):
        world.loader.load(release_of("big", 1))
    assert made[0].closed
    assert world.loaded() == ["a"]


def test_models_with_requests_are_kept() -> None:
    world = World(bound=2)
    world.serve("a")
    world.serve("b")
    for model in ("a", "b"):
        world.slots.acquire(model)
    with pytest.raises(OperatorError, match="every loaded model is answering"):
        world.loader.load(release_of("c", 1))
    assert world.loaded() == ["a", "b"]


def test_load_waits_until_a_model_is_idle() -> None:
    world = World(bound=1, room_seconds=30)
    held = world.serve("a")
    world.slots.acquire("a")
    loading = threading.Thread(target=world.loader.load, args=(release_of("b", 1),))
    loading.start()
    assert world.loads == ["a"]
    world.slots.release(held)
    loading.join(30)
    assert not loading.is_alive()
    assert world.unloaded == ["a"]


def test_swap_needs_no_room_beside_its_own_older_version() -> None:
    world = World(bound=2)
    world.serve("a")
    world.serve("b")
    world.serve("a", generation=2)
    assert world.loaded() == ["a", "b"]
    assert world.unloaded == []


def test_release_of_an_unloaded_model_is_no_use() -> None:
    world = World(bound=2)
    for model in ("a", "b", "c"):
        world.serve(model)
    world.serve("a", generation=2)  # unloads b
    world.serve("d")
    assert world.loaded() == ["c", "d"]


def test_failed_load_changes_no_costs() -> None:
    world = World(bound=2)
    world.serve("a")

    def refuse(release: Release) -> Any:
        raise UnservableModel("no signature")

    world.do_load = refuse
    with pytest.raises(UnservableModel):
        world.loader.load(release_of("b", 1))
    assert world.loaded() == ["a"]


def test_one_load_at_a_time() -> None:
    world = World(bound=9)
    entered, go = threading.Semaphore(0), threading.Event()
    load = world._load

    def slow(release: Release) -> Any:
        entered.release()
        assert go.wait(60)
        return load(release)

    world.do_load = slow
    threads = [threading.Thread(target=world.loader.load, args=(release_of(name, 1),)) for name in "ab"]
    for thread in threads:
        thread.start()
    assert entered.acquire(timeout=60)
    assert not entered.acquire(timeout=0.1)
    go.set()
    for thread in threads:
        thread.join(60)
    eventually(lambda: sorted(world.loads) == ["a", "b"], "both are loaded")


def test_room_at_the_start_is_that_of_the_bound() -> None:
    world = World(bound=3)
    world.serve("a")
    world.files = {"b": 2, "c": 3}
    assert world.loader.has_room(release_of("b", 1))
    assert not world.loader.has_room(release_of("c", 1))


def test_refused_model_is_measured_again() -> None:
    world = World(bound=3)
    world.taken["a"] = 10
    with pytest.raises(OperatorError, match="a needs 10"):
        world.loader.load(release_of("a", 1))
    world.taken["a"] = 1
    assert world.serve("a").memory_bytes == MIB


def test_version_on_trial_holds_up_no_other_model() -> None:
    world = World(bound=9)
    entered, go = threading.Event(), threading.Event()

    def hang(release: Release, is_wanted: Callable[[], bool]) -> None:
        if release.model == "a":
            entered.set()
            assert go.wait(bound(60))

    world.do_try = hang
    threads = [threading.Thread(target=world.loader.load, args=(release_of(name, 1),)) for name in "ab"]
    threads[0].start()
    try:
        assert entered.wait(bound(10))
        threads[1].start()
        threads[1].join(bound(5))
        assert world.loads == ["b"]
    finally:
        go.set()
    for thread in threads:
        thread.join(bound(10))
    assert world.loads == ["b", "a"]


def test_trial_on_a_gpu_is_beside_no_other_load() -> None:
    world = World(bound=9, trials_are_measured=True)
    entered, go = threading.Event(), threading.Event()

    def slow(release: Release, is_wanted: Callable[[], bool]) -> None:
        if release.model == "a":
            entered.set()
            assert go.wait(bound(60))

    world.do_try = slow
    threads = [threading.Thread(target=world.loader.load, args=(release_of(name, 1),)) for name in "ab"]
    threads[0].start()
    assert entered.wait(bound(60))
    threads[1].start()
    threads[1].join(0.1)
    assert world.loads == []
    go.set()
    for thread in threads:
        thread.join(bound(60))
    assert sorted(world.loads) == ["a", "b"]


def test_live_release_is_loaded_though_a_newer_one_exists() -> None:
    """The newer one could not be loaded: the release before it still answers."""
    world = World(bound=9)
    wanted = []
    world.do_try = lambda release, is_wanted: wanted.append(is_wanted())
    world.slots.register(release_of("a", 1))
    world.newest["a"] = 2
    world.loader.load(release_of("a", 1))
    world.loader.load_live(release_of("a", 1))
    world.slots.swap(FakeServable(release_of("a", 2), None))
    world.loader.load_live(release_of("a", 1))
    assert wanted == [False, True, False]


def test_canary_and_its_live_version_are_kept() -> None:
    """Others are unloaded, for it and beside it."""
    world = World(bound=4)
    first = world.serve("a")
    for model in "bcd":
        world.serve(model)
    canary = world.start("a")
    assert world.loaded() == ["a", "c", "d"]
    for model in "bcdbcd":
        world.serve(model)
    assert world.loaded() == ["a", "c", "d"]
    assert [first.closed, canary.closed] == [False, False]
    assert world.loader.loaded_bytes() == 4 * MIB
    assert not world.loader.has_room(release_of("b", 1))


def test_canary_that_leaves_no_room_for_the_largest_model_is_refused() -> None:
    world = World(bound=4)
    world.files["large"] = 3
    world.serve("a")
    world.serve("large")
    with pytest.raises(OperatorError, match=r"canary of model a needs 1.0 MiB .* another model 3.0 MiB"):
        world.start("a")
    assert world.loaded() == ["a", "large"]
    world = World(bound=5)
    world.files["large"] = 3
    world.serve("a")
    world.serve("large")
    world.start("a")
    # A second one would not fit beside the first.
    with pytest.raises(OperatorError, match="shadow of model a"):
        world.start("a", "shadow")


def test_shadows_end_for_a_live_version_without_room() -> None:
    world = World(bound=4)
    world.serve("a")
    world.serve("b")
    shadow = world.start("a", "shadow")
    world.files["c"] = 3
    world.serve("c")
    assert world.loaded() == ["b", "c"]
    assert world.slots.sides.all() == []
    assert world.slots.next_drained() is shadow


def test_canary_that_is_promoted_is_counted_once() -> None:
    """It ends when its version is live: the new servable takes its place, not one beside it."""
    world = World(bound=5)
    world.serve("a")
    world.serve("b")
    world.files["a"] = 3
    canary = world.start("a")
    promoted = world.serve("a", generation=3)
    assert world.slots.sides.all() == []
    assert [world.slots.next_drained(), world.slots.peek("a")] == [canary, promoted]
    assert world.loaded() == ["a", "b"]


def test_canary_that_is_newer_than_its_live_version_is_counted_beside_it() -> None:
    world = World(bound=4)
    live = world.serve("a")
    canary = world.start("a")
    assert world.slots.unload(live)
    assert world.slots.sides.put(canary)
    world.files["a"] = 4
    with pytest.raises(OperatorError, match="no memory for model a"):
        world.loader.load_live(live.release)
    assert world.slots.sides.all() == [canary]


def test_sizes_of_a_canary_and_of_its_live_version_are_apart() -> None:
    world = World(bound=4)
    world.serve("a")
    world.serve("b")
    world.files["a"] = 3
    with pytest.raises(OperatorError, match=r"canary of model a needs 3.0 MiB"):
        world.start("a")
    assert world.loads == ["a", "b"]
    world.files["a"] = 2
    world.start("a")
    assert world.loader._costs["a"] == MIB


def test_canary_takes_the_place_of_an_older_one() -> None:
    world = World(bound=4)
    world.serve("a")
    world.serve("b")
    world.files["a"] = 2
    older = world.start("a")
    newer = world.start("a", generation=3)
    assert world.slots.next_drained() is older
    assert world.slots.sides.all() == [newer]
    assert world.loaded() == ["a", "b"]
