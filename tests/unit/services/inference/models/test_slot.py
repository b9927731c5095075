from __future__ import annotations

from dataclasses import dataclass

import pytest

from services.inference.models.slot import ModelUnloaded, Slots
from shared.contracts.release import Release
from shared.errors import InvalidRequest, NotFound, OperatorError
from tests.fakes.releases import release_of


@dataclass
class Held:
    model: str
    generation: int
    in_flight: int = 0
    retired: bool = False

    @property
    def release(self) -> Release:
        return release_of(self.model, self.generation)


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


def test_unloaded_model_is_known_but_not_acquired() -> None:
    slots: Slots[Held] = Slots()
    held = Held("toy", 3)
    slots.swap(held)
    assert slots.unload(held)
    with pytest.raises(ModelUnloaded):
        slots.acquire("toy")
    assert slots.peek("toy") is None
    assert slots.current() == []
    assert slots.description("toy") is held
    assert slots.live_release("toy") == held.release
    assert slots.next_drained() is None


def test_model_with_requests_is_not_unloaded() -> None:
    slots: Slots[Held] = Slots()
    held = Held("toy", 3)
    slots.swap(held)
    slots.acquire("toy")
    assert not slots.unload(held)
    slots.release(held)
    assert slots.unload(held)


def test_replaced_servable_is_not_unloaded() -> None:
    slots: Slots[Held] = Slots()
    old, new = Held("toy", 1), Held("toy", 2)
    slots.swap(old)
    slots.swap(new)
    assert not slots.unload(old)
    assert slots.acquire("toy") is new


def test_unloaded_generation_is_loaded_again_but_no_older_one() -> None:
    slots: Slots[Held] = Slots()
    held = Held("toy", 3)
    slots.swap(held)
    slots.unload(held)
    assert not slots.swap(Held("toy", 2))
    again = Held("toy", 3)
    assert slots.swap(again)
    assert slots.acquire("toy") is again
    assert slots.unloaded("toy") is None


def test_registered_release_is_live_until_a_newer_one() -> None:
    slots: Slots[Held] = Slots()
    assert slots.register(release_of("toy", 1))
    assert not slots.register(release_of("toy", 2))
    assert slots.description("toy") is None
    assert slots.swap(Held("toy", 2))
    assert not slots.register(release_of("toy", 3))


def test_request_without_name_means_the_only_model() -> None:
    slots: Slots[Held] = Slots()
    slots.register(release_of("toy", 1))
    with pytest.raises(ModelUnloaded) as unloaded:
        slots.acquire(None)
    assert unloaded.value.model == "toy"
    slots.swap(Held("other", 1))
    with pytest.raises(InvalidRequest, match="names none"):
        slots.acquire(None)


def test_watcher_of_unloads_receives_the_name() -> None:
    slots: Slots[Held] = Slots()
    forgotten: list[str] = []
    slots.on_unload(forgotten.append)
    held = Held("toy", 1)
    slots.swap(held)
    slots.acquire("toy")
    slots.unload(held)
    assert forgotten == []
    slots.release(held)
    slots.unload(held)
    assert forgotten == ["toy"]


def test_error_names_at_most_fifty_models() -> None:
    slots: Slots[Held] = Slots()
    for number in range(60):
        slots.register(release_of(f"m{number:02d}", 1))
    with pytest.raises(NotFound) as missing:
        slots.acquire("toy")
    assert missing.value.hint.endswith("m49 and 10 more")


def test_released_model_that_is_not_loaded_yet_may_be_retried() -> None:
    slots: Slots[Held] = Slots()
    slots.swap(Held("a", 1))
    slots.on_release({"a", "b"}.__contains__)
    with pytest.raises(OperatorError, match=r"model b is released, but not loaded yet \(retry") as loading:
        slots.acquire("b")
    assert (loading.value.status, type(loading.value)) == (503, OperatorError)
    with pytest.raises(NotFound):
        slots.acquire("c")


def test_server_that_has_just_started_says_that_models_are_loading() -> None:
    """Before the first model is loaded, a released one is no reason to release another."""
    slots: Slots[Held] = Slots()
    slots.on_release(lambda model: model == "toy")
    with pytest.raises(OperatorError, match="model toy is released, but not loaded yet"):
        slots.acquire("toy")
    with pytest.raises(
        OperatorError, match=r"no model is loaded yet \(retry when /health/ready is 200; if no model"
    ):
        slots.acquire(None)
