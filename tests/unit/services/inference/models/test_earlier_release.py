from __future__ import annotations

from typing import Any

from services.inference.models.earlier_release import load_earlier
from shared.contracts.release import Release
from shared.errors import NotFound, UnservableModel
from tests.fakes.releases import release_of


class FakeLog:
    def __init__(self, *versions: str) -> None:
        self.versions = versions

    def release(self, model: str, generation: int) -> Release:
        version = self.versions[generation - 1]
        if not version:
            raise NotFound("the entry is gone")
        return release_of(model, generation, version)


class Loads:
    """Remembers what was loaded; versions named `bad…` cannot be."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, str]] = []

    def __call__(self, release: Release) -> Any:
        self.seen.append((release.generation, release.version))
        if release.version.startswith("bad"):
            raise UnservableModel("it crashed")
        return release


def earlier(*versions: str, stops_after: int = 99) -> tuple[Any, Loads]:
    loads = Loads()
    failed = release_of("toy", len(versions), versions[-1])
    return load_earlier(FakeLog(*versions), failed, loads, lambda: len(loads.seen) >= stops_after), loads


def test_last_release_that_can_be_loaded_is_found() -> None:
    found, loads = earlier("good", "bad1", "", "bad2", "bad1")
    assert (found.generation, found.version) == (1, "good")
    assert loads.seen == [(4, "bad2"), (1, "good")]


def test_first_release_has_none_before_it() -> None:
    assert earlier("bad")[0] is None


def test_few_releases_are_looked_at() -> None:
    found, loads = earlier("good", *(f"bad{number}" for number in range(30)))
    assert found is None
    assert len(loads.seen) == 10


def test_server_that_stops_loads_nothing() -> None:
    found, loads = earlier("good", "bad1", "bad2", stops_after=1)
    assert found is None
    assert loads.seen == [(2, "bad1")]
