"""The canary and the shadow of each model, beside its live version. Pure; every method runs on the event loop.

They are servables like the live one: a request acquires and releases them, and a replaced one drains. A live version ends those
that were released before it, in the same step in which it becomes live.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from shared.contracts.release import Release, Slot


class Side(Protocol):
    """What a side slot needs of a servable."""

    @property
    def model(self) -> str: ...

    @property
    def generation(self) -> int: ...

    @property
    def release(self) -> Release: ...


H = TypeVar("H", bound=Side)


class SideSlots(Generic[H]):
    """At most one canary and one shadow per model. A look into `canaries` costs as little as one into a dictionary."""

    def __init__(self, retire: Callable[[H], None]) -> None:
        """`retire` receives a servable that answers no more requests."""
        self.canaries: dict[str, H] = {}
        self.shadows: dict[str, H] = {}
        self._retire = retire

    def get(self, model: str, slot: Slot) -> H | None:
        """The servable in a slot, without acquiring it."""
        return self._of(slot).get(model)

    def all(self) -> list[H]:
        """The servables of all models."""
        return [*self.canaries.values(), *self.shadows.values()]

    def put(self, servable: H) -> bool:
        """Serve it in the slot of its release; False if that holds the same or a newer generation."""
        held = self._of(servable.release.slot)
        old = held.get(servable.model)
        if old is not None and old.generation >= servable.generation:
            return False
        held[servable.model] = servable
        if old is not None:
            self._retire(old)
        return True

    def end(self, servable: H) -> bool:
        """Take it out; False if it is in its slot no more."""
        held = self._of(servable.release.slot)
        if held.get(servable.model) is not servable:
            return False
        del held[servable.model]
        self._retire(servable)
        return True

    def end_before(self, live: H) -> None:
        """End those of the model that were released before its new live version."""
        for held in (self.canaries, self.shadows):
            servable = held.get(live.model)
            if servable is not None and servable.generation < live.generation:
                self.end(servable)

    def end_all(self, model: str) -> None:
        """End those of a model."""
        for held in (self.canaries, self.shadows):
            if model in held:
                self.end(held[model])

    def _of(self, slot: Slot) -> dict[str, H]:
        return self.canaries if slot == "canary" else self.shadows
