"""Slots: the one mutable reference of each served model. Pure; every method runs on the server's event loop.

A request takes the servable that is current when it is admitted and keeps it to its end, so an answer never mixes
versions. A servable that was replaced drains: it may be closed once the last request that took it has finished.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, Protocol, TypeVar

from shared.errors import InvalidRequest, NotFound, OperatorError


class Holdable(Protocol):
    """What a slot needs to know of a servable."""

    @property
    def model(self) -> str: ...

    @property
    def generation(self) -> int: ...

    in_flight: int
    retired: bool


H = TypeVar("H", bound=Holdable)


class Slots(Generic[H]):
    """The servables of this process, one per model."""

    def __init__(self) -> None:
        self._current: dict[str, H] = {}
        self._drained: deque[H] = deque()

    def current(self) -> list[H]:
        """What is served now, by model name."""
        return [self._current[model] for model in sorted(self._current)]

    def peek(self, model: str) -> H | None:
        """What is served of a model, without taking it."""
        return self._current.get(model)

    def take(self, model: str | None) -> H:
        """The servable a new request is answered by; give it back with `give_back`. Raises NotFound, OperatorError."""
        servable = self._current.get(model) if model is not None else self._only()
        if servable is None:
            raise self._unserved(model)
        servable.in_flight += 1
        return servable

    def give_back(self, servable: H) -> None:
        """The request is over."""
        servable.in_flight -= 1
        if servable.retired and servable.in_flight == 0:
            self._drained.append(servable)

    def swap(self, servable: H) -> bool:
        """Serve `servable` from now on; False where that would take the model back to an older generation."""
        old = self._current.get(servable.model)
        if old is not None and old.generation >= servable.generation:
            return False
        self._current[servable.model] = servable
        if old is not None:
            old.retired = True
            if old.in_flight == 0:
                self._drained.append(old)
        return True

    def next_drained(self) -> H | None:
        """A replaced servable nobody uses any more; each is handed out once."""
        return self._drained.popleft() if self._drained else None

    def _only(self) -> H | None:
        if len(self._current) > 1:
            raise InvalidRequest(
                "several models are served here",
                field="model",
                expected=f"one of {', '.join(sorted(self._current))}",
                status=400,
            )
        return next(iter(self._current.values()), None)

    def _unserved(self, model: str | None) -> NotFound | OperatorError:
        if not self._current:
            return OperatorError(
                "no model is served yet",
                hint="release one with `homeostat deploy`, or wait until it is loaded",
            )
        return NotFound(
            f"no model {str(model)[:80]!r} is served here",
            hint=f"served: {', '.join(sorted(self._current))}",
        )
