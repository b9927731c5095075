from __future__ import annotations

from dataclasses import dataclass

import pytest

from services.inference.models.slot import Slots
from shared.errors import InvalidRequest, NotFound, OperatorError


@dataclass
class Held:
    model: str
    generation: int
    in_flight: int = 0
    retired: bool = False


def test_request_keeps_servable_through_swap() -> None:
    slots: Slots[Held] = Slots()
    old, new = Held("toy", 1), Held("toy", 2)
    assert slots.swap(old)
    taken = slots.acquire("toy")
    assert slots.swap(new)

    assert taken is old
    assert slots.acquire("toy") is new
    assert slots.next_drained() is None


def test_replaced_servable_drains_once() -> None:
    slots: Slots[Held] = Slots()
    old = Held("toy", 1)
    slots.swap(old)
    first, second = slots.acquire("toy"), slots.acquire("toy")
    slots.swap(Held("toy", 2))
    slots.release(first)
    assert slots.next_drained() is None
    slots.release(second)
    assert slots.next_drained() is old
    assert slots.next_drained() is None


def test_idle_servable_drains_at_swap() -> None:
    slots: Slots[Held] = Slots()
    old = Held("toy", 1)
    slots.swap(old)
    slots.release(slots.acquire("toy"))
    assert slots.next_drained() is None
    slots.swap(Held("toy", 2))
    assert slots.next_drained() is old


@pytest.mark.parametrize("generation", [1, 2])
def test_generations_never_go_back(generation: int) -> None:
    slots: Slots[Held] = Slots()
    newer = Held("toy", 2)
    slots.swap(newer)
    assert not slots.swap(Held("toy", generation))
    assert slots.peek("toy") is newer


def test_several_models_side_by_side() -> None:
    slots: Slots[Held] = Slots()
    one, other = Held("one", 5), Held("other", 1)
    slots.swap(one)
    slots.swap(other)
    assert slots.current() == [one, other]
    assert slots.acquire("other") is other
    with pytest.raises(InvalidRequest, match="several models"):
        slots.acquire(None)
    with pytest.raises(NotFound, match="loaded models: one, other"):
        slots.acquire("third")


def test_single_model_is_the_default() -> None:
    slots: Slots[Held] = Slots()
    with pytest.raises(OperatorError):
        slots.acquire(None)
    only = Held("toy", 1)
    slots.swap(only)
    assert slots.acquire(None) is only
