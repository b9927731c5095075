"""Which rows are watched: those of released versions with a reference. Everything else costs next to nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Any

import pytest

from services.drift.evaluation.reference_profile import Reference
from services.drift.stream.stream_profile import StreamProfile
from services.drift.stream_monitor import profiles as profiles_module
from services.drift.stream_monitor.preparation import ProfilePreparation
from services.drift.stream_monitor.profiles import MODELS_SECONDS, RETRY_SECONDS, NotWatched, Profiles
from shared.contracts.release import Release
from shared.errors import DependencyUnavailable, NotFound
from tests.unit.services.drift.stream_monitor.streams import VERSION, profile
from tests.unit.services.drift.world import START


@dataclass
class MemoryReferences:
    """Releases by model, newest last; `asked` remembers what was looked up."""

    logs: dict[str, list[str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    down: bool = False
    canaries: set[int] = field(default_factory=set)

    def models(self) -> list[str]:
        self.asked.append("models")
        return list(self.logs)

    def release(self, model: str, generation: int) -> Release:
        self.asked.append(f"release {generation}")
        if self.down:
            raise DependencyUnavailable("no store")
        if generation > len(self.logs[model]):
            raise NotFound("no such release")
        slot, share = ("canary", 0.1) if generation in self.canaries else ("live", 1)
        return Release.model_validate({
            "model": model, "generation": generation, "version": self.logs[model][generation - 1], "slot": slot,
            "share": share, "reason": "canary" if slot == "canary" else "deployment", "actor": "test", "released_at": START,
        })  # fmt: skip

    def live_release(self, model: str) -> Release | None:
        return self.release(model, len(self.logs[model]))

    def get(self, model: str, version: str) -> Any:
        self.asked.append("reference")
        return profile().layout.reference


@dataclass
class Bench:
    references: MemoryReferences = field(default_factory=lambda: MemoryReferences({"toy": [VERSION]}))
    seconds: float = 100.0

    def __post_init__(self) -> None:
        self.profiles = Profiles(self.references, lambda _: profile(), clock=lambda: self.seconds)

    def reason(self, model: str, generation: int, version: str = VERSION) -> str:
        with pytest.raises(NotWatched) as refused:
            self.profiles.get(model, generation, version)
        return refused.value.reason


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_profile_of_a_version_is_made_once(bench: Bench) -> None:
    bench.references.logs["toy"].append(VERSION)
    assert bench.profiles.get("toy", 1, VERSION) is bench.profiles.get("toy", 2, VERSION)
    assert bench.references.asked.count("reference") == 1


def test_unknown_models_cost_one_listing_in_a_while(bench: Bench) -> None:
    assert {bench.reason(f"nobody-{number}", 1) for number in range(1000)} == {"unknown_model"}
    assert bench.references.asked == ["models"]
    bench.seconds += MODELS_SECONDS
    bench.references.logs["new"] = [VERSION]
    assert bench.profiles.get("new", 1, VERSION)


def test_generation_that_the_release_log_lacks_is_looked_up_seldom(bench: Bench) -> None:
    assert [bench.reason("toy", 2) for _ in range(100)] == ["unknown_release"] * 100
    assert bench.reason("toy", 1, "b" * 64) == "unknown_release", "another version than the release log's"
    assert bench.references.asked.count("release 2") == 1
    bench.references.logs["toy"].append(VERSION)
    bench.seconds += RETRY_SECONDS
    assert bench.profiles.get("toy", 2, VERSION)


def test_unavailable_store_is_asked_again_after_a_while(bench: Bench) -> None:
    bench.references.down = True
    assert [bench.reason("toy", 1) for _ in range(100)] == ["no_reference"] * 100
    assert bench.references.asked.count("release 1") == 1
    bench.references.down = False
    bench.seconds += RETRY_SECONDS
    assert bench.profiles.get("toy", 1, VERSION)


def test_misses_in_memory_are_bounded(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiles_module, "KEPT_MISSES", 10)
    for generation in range(2, 100):
        bench.reason("toy", generation)
    assert len(bench.profiles._misses) == 10


def test_row_waits_for_a_profile_that_is_being_prepared(bench: Bench) -> None:
    made, begun, finish = [], Event(), Event()

    def make(_: Reference) -> StreamProfile:
        made.append("profile")
        begun.set()
        assert finish.wait(10)
        return profile()

    profiles = Profiles(bench.references, make)
    preparation = ProfilePreparation()
    preparation.add("toy", VERSION)
    preparer = Thread(target=preparation.run, args=(profiles, Event()))
    preparer.start()
    assert begun.wait(10)
    found: list[StreamProfile] = []
    reader = Thread(target=lambda: found.append(profiles.get("toy", 1, VERSION)))
    reader.start()
    assert found == []
    finish.set()
    preparation.end()
    for thread in (preparer, reader):
        thread.join(10)
    assert (found, made) == ([profile()], ["profile"])


def test_only_the_version_that_is_served_is_prepared(bench: Bench) -> None:
    bench.references.logs["toy"].append("b" * 64)
    bench.profiles.prepare("toy", VERSION)
    assert "reference" not in bench.references.asked
    preparation = ProfilePreparation()
    bench.references.down = True
    preparation.add("toy", "b" * 64)
    preparation.end()
    preparation.run(bench.profiles, Event())


def test_rows_of_a_canary_are_not_watched(bench: Bench) -> None:
    bench.references.logs["toy"].append("b" * 64)
    bench.references.canaries.add(2)
    assert bench.reason("toy", 2, "b" * 64) == "canary"
    assert "reference" not in bench.references.asked


class Asking(MemoryReferences):
    """A store with room for one reference: each `get` fetches, and a fetched reference asks for its profile."""

    preparation: ProfilePreparation | None = None

    def get(self, model: str, version: str) -> Any:
        if self.preparation is not None:
            self.preparation.add(model, version)
        return super().get(model, version)


def test_more_models_than_there_is_room_for_are_prepared_once_each() -> None:
    models = [f"model-{number}" for number in range(6)]
    references, preparation = Asking({model: [VERSION] for model in models}), ProfilePreparation()
    made: list[object] = []

    def make(reference: Reference) -> StreamProfile:
        made.append(reference)
        return profile()

    profiles = Profiles(references, make, kept=2)
    references.preparation = preparation
    for model in models:
        preparation.add(model, VERSION)
    for _ in range(4):  # what a round asks for is done in the next one
        preparation.end()
        preparation.run(profiles, Event())
    assert len(made) == len(models)
    assert preparation._queue.empty()
    assert len(profiles._ready) == 2
    assert profiles.get(models[0], 1, VERSION), "made again for the row that needs it"


def test_unknown_error_of_a_profile_is_not_met_again_for_every_record(bench: Bench) -> None:
    made: list[object] = []

    def fail(reference: Reference) -> StreamProfile:
        made.append(reference)
        raise ArithmeticError("nobody foresaw this")

    bench.profiles._make = fail
    assert [bench.reason("toy", 1) for _ in range(100)] == ["no_reference"] * 100
    assert len(made) == 1
    bench.profiles._make = lambda _: profile()
    bench.seconds += RETRY_SECONDS
    assert bench.profiles.get("toy", 1, VERSION)
