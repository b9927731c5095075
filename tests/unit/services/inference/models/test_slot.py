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


def test_a_request_keeps_what_it_took_through_a_swap() -> None:
    slots: Slots[Held] = Slots()
    old, new = Held("toy", 1), Held("toy", 2)
    assert slots.swap(old)
    taken = slots.take("toy")
    assert slots.swap(new)

    assert taken is old
    assert slots.take("toy") is new
    assert slots.next_drained() is None


def test_a_replaced_servable_drains_with_its_last_request_and_only_once() -> None:
    slots: Slots[Held] = Slots()
    old = Held("toy", 1)
    slots.swap(old)
    first, second = slots.take("toy"), slots.take("toy")
    slots.swap(Held("toy", 2))
    slots.give_back(first)
    assert slots.next_drained() is None
    slots.give_back(second)
    assert slots.next_drained() is old
    assert slots.next_drained() is None


def test_an_idle_servable_drains_at_the_swap() -> None:
    slots: Slots[Held] = Slots()
    old = Held("toy", 1)
    slots.swap(old)
    slots.give_back(slots.take("toy"))
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


def test_models_stand_side_by_side() -> None:
    slots: Slots[Held] = Slots()
    one, other = Held("one", 5), Held("other", 1)
    slots.swap(one)
    slots.swap(other)
    assert slots.current() == [one, other]
    assert slots.take("other") is other
    with pytest.raises(InvalidRequest, match="several models"):
        slots.take(None)
    with pytest.raises(NotFound, match="served: one, other"):
        slots.take("third")


def test_the_only_model_need_not_be_named() -> None:
    slots: Slots[Held] = Slots()
    with pytest.raises(OperatorError):
        slots.take(None)
    only = Held("toy", 1)
    slots.swap(only)
    assert slots.take(None) is only
