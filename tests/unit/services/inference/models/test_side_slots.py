"""Canary and shadow beside the live version: one per slot, drained like it."""

from __future__ import annotations

from dataclasses import dataclass

from services.inference.models.slot import Slots
from shared.contracts.release import Release, Slot
from tests.fakes.releases import release_of


@dataclass(eq=False)
class Held:
    model: str
    generation: int
    slot: Slot = "live"
    in_flight: int = 0
    retired: bool = False

    @property
    def release(self) -> Release:
        return release_of(self.model, self.generation).model_copy(update={"slot": self.slot})


def test_live_version_ends_older_canary_and_shadow_in_one_step() -> None:
    slots: Slots[Held] = Slots()
    canary, shadow, newer = Held("toy", 2, "canary"), Held("toy", 3, "shadow"), Held("other", 9, "canary")
    slots.swap(Held("toy", 1))
    assert all(slots.sides.put(one) for one in (canary, shadow, newer))
    slots.hold(canary)
    slots.swap(Held("toy", 4))
    assert slots.sides.all() == [newer]
    drained = [slots.next_drained(), slots.next_drained(), slots.next_drained()]
    assert drained[0] is shadow
    assert [one.generation for one in drained if one is not None] == [3, 1]
    assert canary.retired


def test_canary_drains_when_its_last_request_is_done() -> None:
    slots: Slots[Held] = Slots()
    canary = Held("toy", 2, "canary")
    slots.sides.put(canary)
    slots.hold(canary)
    assert slots.sides.end(canary)
    assert slots.next_drained() is None
    slots.release(canary)
    assert slots.next_drained() is canary
    assert not slots.sides.end(canary)


def test_older_generation_does_not_replace_a_newer_one() -> None:
    slots: Slots[Held] = Slots()
    newer = Held("toy", 3, "canary")
    slots.sides.put(newer)
    assert not slots.sides.put(Held("toy", 3, "canary"))
    assert not slots.sides.put(Held("toy", 2, "canary"))
    assert slots.sides.get("toy", "canary") is newer
    assert slots.sides.get("toy", "shadow") is None


def test_model_taken_out_of_memory_has_no_canary() -> None:
    slots: Slots[Held] = Slots()
    live, canary = Held("toy", 1), Held("toy", 2, "canary")
    slots.swap(live)
    slots.sides.put(canary)
    assert slots.unload(live)
    assert slots.sides.all() == []
    assert slots.next_drained() is canary
