"""Slots: the one mutable reference to the live version of each model. Pure; every method runs on the event loop.

A request acquires the current servable and uses it to its end, so a response never mixes versions. A replaced servable
drains: it may be closed once the last request that acquired it has released it. The live version of a model can also be
unloaded, to be loaded again when a request needs it. Beside it a model can have a canary and a shadow (`sides`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from services.inference.models.side_slots import SideSlots
from shared.contracts.release import Release
from shared.errors import InvalidRequest, NotFound, OperatorError

# A server that has just started loads what is released; only a new installation has nothing to load.
WHEN_LOADED = "retry when /health/ready is 200; if no model is released, `homeostat deploy` releases one"


class Acquirable(Protocol):
    """What a slot needs of a servable."""

    @property
    def model(self) -> str: ...

    @property
    def generation(self) -> int: ...

    @property
    def release(self) -> Release: ...

    in_flight: int
    retired: bool


H = TypeVar("H", bound=Acquirable)
_LISTED = 50  # names in an error message


@dataclass(frozen=True)
class Unloaded(Generic[H]):
    """A live version that is not in memory. `servable` describes it and cannot run; None if this process never loaded it."""

    release: Release
    servable: H | None = None


class ModelUnloaded(OperatorError):
    """The model is served, but it has to be loaded first."""

    def __init__(self, model: str, message: str = "", *, hint: str = "retry after a second") -> None:
        super().__init__(message or f"model {model} is not in memory now", hint=hint)
        self.model = model


class Slots(Generic[H]):
    """The slots of this process: the live servable of each model, and its canary and shadow in `sides`."""

    def __init__(self) -> None:
        self._current: dict[str, H] = {}
        self._unloaded: dict[str, Unloaded[H]] = {}
        self._drained: deque[H] = deque()
        self._on_unload: Callable[[str], object] = lambda model: None
        self._is_released: Callable[[str], bool] = lambda model: False
        self.sides: SideSlots[H] = SideSlots(self._retire)

    def current(self) -> list[H]:
        """The live servables, sorted by model name."""
        return [self._current[model] for model in sorted(self._current)]

    def in_memory(self) -> list[H]:
        """The live servables, canaries and shadows."""
        return [*self.current(), *self.sides.all()]

    def peek(self, model: str) -> H | None:
        """The live servable of a model, without acquiring it."""
        return self._current.get(model)

    def names(self) -> list[str]:
        """Models with a live version, loaded or not, sorted."""
        return sorted({*self._current, *self._unloaded})

    def all_unloaded(self) -> list[Unloaded[H]]:
        """The live versions that are not in memory, sorted by model name."""
        return [self._unloaded[model] for model in sorted(self._unloaded)]

    def unloaded(self, model: str) -> Unloaded[H] | None:
        """The live version of a model if it is not in memory."""
        return self._unloaded.get(model)

    def live_release(self, model: str) -> Release | None:
        """The release that answers requests, now or once it is loaded."""
        servable, unloaded = self._current.get(model), self._unloaded.get(model)
        return servable.release if servable else unloaded.release if unloaded else None

    def description(self, model: str) -> H | None:
        """The live servable, or one that only describes the live version."""
        unloaded = self._unloaded.get(model)
        return self._current.get(model) or (unloaded.servable if unloaded else None)

    def resolve(self, model: str | None) -> str:
        """The name of the model that a request means, loaded or not. Raises InvalidRequest, NotFound, OperatorError."""
        if model is None:
            model = self._only()
        if model is None or (model not in self._current and model not in self._unloaded):
            raise self._not_loaded(model)
        return model

    def acquire(self, model: str | None, requests: int = 1) -> H:
        """The servable for new requests, until `release`. Raises NotFound, OperatorError, ModelUnloaded."""
        servable = self._current.get(model if model is not None else self._only() or "")
        if servable is None:
            raise ModelUnloaded(self.resolve(model))
        servable.in_flight += requests
        return servable

    def release(self, servable: H, requests: int = 1) -> None:
        """The requests no longer use the servable."""
        servable.in_flight -= requests
        if servable.retired and servable.in_flight == 0:
            self._drained.append(servable)

    def hold(self, servable: H) -> None:
        """Use a canary or shadow, or a live version that is acquired already, until `release`."""
        servable.in_flight += 1

    def _retire(self, servable: H) -> None:
        servable.retired = True
        if servable.in_flight == 0:
            self._drained.append(servable)

    def swap(self, servable: H) -> bool:
        """Make `servable` live, and end canary and shadow of before; False if its generation is not newer than the loaded one,
        or older than the unloaded one."""
        old, unloaded = self._current.get(servable.model), self._unloaded.get(servable.model)
        if old is not None and old.generation >= servable.generation:
            return False
        if unloaded is not None and unloaded.release.generation > servable.generation:
            return False
        # In this order: at no moment does another thread find neither.
        self._current[servable.model] = servable
        self._unloaded.pop(servable.model, None)
        self.sides.end_before(servable)
        if old is not None:
            self._retire(old)
        return True

    def register(self, release: Release) -> bool:
        """Make a release live without loading it; False if the model has a live version."""
        if release.model in self._current or release.model in self._unloaded:
            return False
        self._unloaded[release.model] = Unloaded(release)
        return True

    def unload(self, servable: H) -> bool:
        """Take the live `servable` out, so that the caller closes it; False if requests use it, or it was replaced."""
        if servable.in_flight or self._current.get(servable.model) is not servable:
            return False
        servable.retired = True
        self._unloaded[servable.model] = Unloaded(servable.release, servable)
        del self._current[servable.model]
        self.sides.end_all(servable.model)
        self._on_unload(servable.model)
        return True

    def on_unload(self, forget: Callable[[str], object]) -> None:
        """Set what is called with the name of a model that is taken out of memory."""
        self._on_unload = forget

    def on_release(self, is_released: Callable[[str], bool]) -> None:
        """Set what says whether this server follows a model's releases: until one is loaded, requests for it may be retried."""
        self._is_released = is_released

    def next_drained(self) -> H | None:
        """A replaced servable that no request uses any more; each is returned once."""
        return self._drained.popleft() if self._drained else None

    def _only(self) -> str | None:
        names = self.names() if self._unloaded else self._current
        if len(names) > 1:
            raise InvalidRequest(
                "several models are loaded, and the request names none",
                field="model",
                expected=f"one of {_listed(self.names())}",
                status=400,
            )
        return next(iter(names), None)

    def _not_loaded(self, model: str | None) -> NotFound | OperatorError:
        if model is not None and self._is_released(model):
            return OperatorError(
                f"model {model} is released, but not loaded yet",
                hint="retry after a second; /status says whether its release cannot be loaded",
            )
        if not self._current and not self._unloaded:
            return OperatorError("no model is loaded yet", hint=WHEN_LOADED)
        return NotFound(
            f"model {str(model)[:80]!r} is not loaded",
            hint=f"loaded models: {_listed(self.names())}",
        )


def _listed(names: list[str]) -> str:
    """The names, shortened where there are hundreds of models."""
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more} more" if more > 0 else "")
