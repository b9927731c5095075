"""Canaries and shadows follow the release log; the live version does not depend on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from services.inference.models.slot import Slots
from services.inference.rollout.side_releases import SideReleases
from shared.contracts.release import Release, Slot
from shared.errors import UnservableModel


class Held:
    def __init__(self, release: Release) -> None:
        self.release = release
        self.model, self.version, self.generation = release.model, release.version, release.generation
        self.version_short = release.version
        self.in_flight = 0
        self.retired = self.closed = False

    def close(self) -> None:
        self.closed = True


class Counted:
    def __init__(self) -> None:
        self.failing: dict[tuple[str, Slot], bool] = {}
        self.sides_loaded = self.live_loaded = 0

    def loads(self, model: str, slot: Slot, *, failed: bool) -> None:
        self.failing[model, slot] = failed

    def side_loaded(self, servable: Any) -> None:
        self.sides_loaded += 1

    def loaded(self, servable: Any) -> None:
        self.live_loaded += 1


def entry(generation: int, version: str, slot: Slot = "live", share: float = 0.1) -> Release:
    return Release.model_validate(
        {"model": "toy", "generation": generation, "version": version, "slot": slot, "actor": "ann"}
        | {"share": 1 if slot == "live" else share, "reason": "promotion" if slot == "live" else slot}
        | {"released_at": "2026-01-01T00:00:00Z"}
    )


class World:
    def __init__(self) -> None:
        self.served: dict[Slot, Release] = {"live": entry(1, "a")}
        self.now = 0.0
        self.held: Slots[Any] = Slots()
        self.held.swap(Held(self.served["live"]))
        self.broken: set[str] = set()
        self.tries: list[str] = []
        self.while_loading: Callable[[], None] = lambda: None
        self.made: list[Held] = []
        self.counted = Counted()
        self.sides = SideReleases(
            self,
            self.held,
            self._load,  # type: ignore[arg-type]
            metrics=self.counted,
            versions=self.counted,
            on_loop=lambda function: function(),
            retry_seconds=10,
            clock=lambda: self.now,
            load_live=self._load,  # type: ignore[arg-type]
        )

    def slots(self, model: str) -> dict[Slot, Release]:
        return dict(self.served)

    def _load(self, release: Release) -> Held:
        self.tries.append(release.version)
        self.while_loading()
        if release.version in self.broken:
            raise UnservableModel("broken")
        self.made.append(Held(release))
        return self.made[-1]

    def poll(self, *, live_failed: bool = False) -> None:
        self.sides.end("toy", self.served, live_failed=live_failed)
        self.sides.follow("toy", self.served, lambda: True)

    def running(self) -> dict[str, str]:
        return {one.release.slot: f"{one.version}{one.generation}" for one in self.held.sides.all()}


@pytest.fixture
def world() -> World:
    return World()


def test_canary_and_shadow_are_loaded_once_and_ended(world: World) -> None:
    world.served |= {"canary": entry(2, "b", "canary"), "shadow": entry(3, "c", "shadow")}
    world.poll()
    world.poll()
    assert world.running() == {"canary": "b2", "shadow": "c3"}
    assert world.tries == ["b", "c"]
    del world.served["shadow"]
    world.poll()
    assert world.running() == {"canary": "b2"}
    assert world.held.next_drained() is world.made[1]


def test_canary_answers_on_until_its_new_share_is_loaded(world: World) -> None:
    world.served["canary"] = entry(2, "b", "canary")
    world.poll()
    world.served["canary"] = entry(3, "b", "canary", share=0.5)
    seen: list[dict[str, str]] = []
    world.while_loading = lambda: seen.append(world.running())
    world.poll()
    assert seen == [{"canary": "b2"}]
    assert world.running() == {"canary": "b3"}


def test_another_version_in_the_slot_ends_the_old_one_at_once(world: World) -> None:
    world.served["canary"] = entry(2, "b", "canary")
    world.poll()
    world.broken.add("c")
    world.served["canary"] = entry(3, "c", "canary")
    world.poll()
    assert world.running() == {}
    assert world.sides.problems("toy") == {"canary": "broken"}


def test_failed_load_is_retried_later_and_forgotten_when_withdrawn(world: World) -> None:
    world.broken.add("b")
    world.served["canary"] = entry(2, "b", "canary")
    for world.now in (0.0, 5.0, 10.0):
        world.poll()
    assert world.tries == ["b", "b"]
    assert world.counted.failing == {("toy", "canary"): True}
    del world.served["canary"]
    world.poll()
    assert world.sides.problems("toy") == {}
    assert world.counted.failing == {("toy", "canary"): False}


def test_canary_withdrawn_while_it_is_loaded_never_answers(world: World) -> None:
    served = {**world.served, "canary": entry(2, "b", "canary")}
    world.while_loading = lambda: None  # the log has no canary any more
    world.sides.follow("toy", served, lambda: True)
    assert world.running() == {}
    assert world.made[0].closed
    assert world.counted.sides_loaded == 0


def test_live_version_that_was_unloaded_is_loaded_with_its_canary(world: World) -> None:
    live = world.held.peek("toy")
    assert world.held.unload(live)
    world.served["canary"] = entry(2, "b", "canary")
    world.poll()
    assert world.tries == ["a", "b"]
    assert world.held.peek("toy") is world.made[0]
    assert world.running() == {"canary": "b2"}
    assert (world.counted.live_loaded, world.counted.sides_loaded) == (1, 1)
    world.held.unload(world.made[0])  # both, for another model
    world.poll()
    assert world.running() == {"canary": "b2"}


def test_live_version_that_a_request_has_loaded_meanwhile_is_closed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert world.held.unload(world.held.peek("toy"))
    monkeypatch.setattr(world.held, "swap", lambda _: False)
    world.served["canary"] = entry(2, "b", "canary")
    world.poll()
    assert [one.closed for one in world.made] == [True, False]
    assert world.counted.live_loaded == 0


def test_promoted_canary_answers_until_the_same_version_is_live(world: World) -> None:
    world.served["canary"] = entry(2, "b", "canary")
    world.poll()
    world.served = {"live": entry(3, "b")}
    world.poll()
    assert world.running() == {"canary": "b2"}
    world.held.swap(Held(world.served["live"]))
    assert world.running() == {}


def test_promoted_canary_ends_where_the_version_cannot_be_made_live(world: World) -> None:
    world.served["canary"] = entry(2, "b", "canary")
    world.poll()
    world.served = {"live": entry(3, "b")}
    world.poll(live_failed=True)
    assert world.running() == {}


def test_canary_ends_at_once_where_another_version_goes_live(world: World) -> None:
    world.served["canary"] = entry(2, "b", "canary")
    world.poll()
    world.served = {"live": entry(3, "c")}
    world.poll()
    assert world.running() == {}


def test_no_canary_beside_another_live_version_than_the_log_has(world: World) -> None:
    world.served = {"live": entry(2, "c"), "canary": entry(3, "b", "canary")}
    world.poll()
    assert world.tries == []
