"""Slots: the one mutable reference to the live version of each model. Pure; every method runs on the event loop.

A request acquires the current servable and uses it to its end, so a response never mixes versions. A replaced servable
drains: it may be closed once the last request that acquired it has released it.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, Protocol, TypeVar

from shared.errors import InvalidRequest, NotFound, OperatorError


class Acquirable(Protocol):
    """What a slot needs of a servable."""

    @property
    def model(self) -> str: ...

    @property
    def generation(self) -> int: ...

    in_flight: int
    retired: bool


H = TypeVar("H", bound=Acquirable)


class Slots(Generic[H]):
    """The servables of this process, one per model."""

    def __init__(self) -> None:
        self._current: dict[str, H] = {}
        self._drained: deque[H] = deque()

    def current(self) -> list[H]:
        """The live servables, sorted by model name."""
        return [self._current[model] for model in sorted(self._current)]

    def peek(self, model: str) -> H | None:
        """The live servable of a model, without acquiring it."""
        return self._current.get(model)

    def acquire(self, model: str | None) -> H:
        """The servable for a new request, until `release`. Raises NotFound, OperatorError."""
        servable = self._current.get(model) if model is not None else self._only()
        if servable is None:
            raise self._not_loaded(model)
        servable.in_flight += 1
        return servable

    def release(self, servable: H) -> None:
        """The request no longer uses the servable."""
        servable.in_flight -= 1
        if servable.retired and servable.in_flight == 0:
            self._drained.append(servable)

    def swap(self, servable: H) -> bool:
        """Make `servable` live; False if its generation is not newer."""
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
        """A replaced servable that no request uses any more; each is returned once."""
        return self._drained.popleft() if self._drained else None

    def _only(self) -> H | None:
        if len(self._current) > 1:
            raise InvalidRequest(
                "several models are loaded, and the request names none",
                field="model",
                expected=f"one of {', '.join(sorted(self._current))}",
                status=400,
            )
        return next(iter(self._current.values()), None)

    def _not_loaded(self, model: str | None) -> NotFound | OperatorError:
        if not self._current:
            return OperatorError(
                "no model is loaded yet",
                hint="release one with `homeostat deploy`, or retry when /health/ready is 200",
            )
        return NotFound(
            f"model {str(model)[:80]!r} is not loaded",
            hint=f"loaded models: {', '.join(sorted(self._current))}",
        )
