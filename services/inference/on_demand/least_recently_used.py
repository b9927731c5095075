"""Which models to unload so that another one fits. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar


class Loaded(Protocol):
    """What the choice needs of a loaded model."""

    @property
    def memory_bytes(self) -> int: ...

    @property
    def in_flight(self) -> int: ...


L = TypeVar("L", bound=Loaded)


def choose_to_unload(
    loaded: Sequence[L], needed_bytes: int, bound_bytes: int, last_used: Callable[[L], float]
) -> list[L] | None:
    """The least recently used models without requests, as many as have to go; None if requests use too many.

    `loaded`: the models that stay in memory beside the new one, which needs `needed_bytes`.
    """
    excess = sum(one.memory_bytes for one in loaded) + needed_bytes - bound_bytes
    chosen = []
    for one in sorted((one for one in loaded if not one.in_flight), key=last_used):
        if excess <= 0:
            break
        chosen.append(one)
        excess -= one.memory_bytes
    return chosen if excess <= 0 else None
