"""Loads models within a memory bound. Its methods run on threads that may wait, not on the event loop.

1. estimate what the model needs   2. fetch and verify it   3. try it out, in a process of its own
4. take the least recently used models without requests out, on the event loop   5. close them
6. open it, and measure   7. make room for what it really takes

Steps 2 and 4 to 7 are of one load at a time: a load needs several times the memory of its model for a moment, and two would be
measured together. A version that hangs in step 3 holds up no other model, except on a GPU, whose memory the trial uses too. A
model that replaces its own older version is counted once: for the moment of the swap both are in memory.

A canary or shadow and the live version beside it are not unloaded for other models. It is loaded only where the largest other
model still fits; should one not fit all the same, canaries and shadows end for it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol, TypeVar

from services.inference.models.candidate import Candidate
from services.inference.models.servable import Servable
from services.inference.models.slot import Slots
from services.inference.on_demand.least_recently_used import choose_to_unload
from services.inference.on_demand.memory_meter import MemoryMeter
from shared.contracts.manifest import REFERENCE, Manifest
from shared.contracts.release import Release
from shared.errors import OperatorError
from shared.observability.logs import get_logger

_log = get_logger(__name__)
_ROOM_SECONDS = 10.0
_PAUSE_SECONDS = 0.02
_MIB = 1 << 20
T = TypeVar("T")


class OnLoop(Protocol):
    """Runs a function on the event loop, which owns the slots, and returns its result."""

    def __call__(self, function: Callable[[], T], /) -> T: ...


class Loading(Protocol):
    """The steps of a load: those of `Loader`."""

    def fetch(self, release: Release) -> Candidate: ...

    def is_newest(self, release: Release) -> bool: ...

    def try_out(self, candidate: Candidate, is_wanted: Callable[[], bool]) -> None: ...

    def open(self, candidate: Candidate) -> Servable: ...


class BoundedLoader:
    """Loads releases, and unloads the least recently used models to make room."""

    def __init__(
        self,
        slots: Slots[Servable],
        loading: Loading,
        manifest_of: Callable[[Release], Manifest],
        *,
        bound_bytes: int,
        meter: MemoryMeter,
        on_loop: OnLoop,
        last_predictions: Callable[[], Mapping[str, float]],
        unloaded: Callable[[Servable], None],
        clock: Callable[[], float] = time.time,
        room_seconds: float = _ROOM_SECONDS,
        trials_are_measured: bool = False,
    ) -> None:
        """`manifest_of` is asked before a first load. `last_predictions`: by model, on `clock`. `unloaded` counts models.

        `room_seconds`: how long to wait until a loaded model is idle. `trials_are_measured`: whether `meter` reads memory that
        the isolated process uses too.
        """
        self.bound_bytes = bound_bytes
        self._slots = slots
        self._loading = loading
        self._manifest_of = manifest_of
        self._meter = meter
        self._on_loop = on_loop
        self._last_predictions = last_predictions
        self._unloaded = unloaded
        self._clock = clock
        self._room_seconds = room_seconds
        self._loads = threading.RLock()
        self._trials: AbstractContextManager[object] = self._loads if trials_are_measured else nullcontext()
        self._costs: dict[str, int] = {}
        self._loaded_at: dict[str, float] = {}

    def load(self, release: Release) -> Servable:
        """The servable of the newest release of a slot, within the bound. Raises OperatorError if there is no room for it, and
        what loading raises."""
        return self._load(release, lambda: self._loading.is_newest(release))

    def load_live(self, release: Release) -> Servable:
        """The same for the live release, also where a newer one could not be loaded."""

        def is_live() -> bool:
            live = self._slots.live_release(release.model)
            return live is not None and live.generation == release.generation

        return self._load(release, is_live)

    def _load(self, release: Release, is_wanted: Callable[[], bool]) -> Servable:
        with self._loads:
            self._check_size(release, self._expected_bytes(release))
            candidate = self._loading.fetch(release)
        with self._trials:
            self._loading.try_out(candidate, is_wanted)
        with self._loads:
            return self._open(candidate)

    def _open(self, candidate: Candidate) -> Servable:
        release = candidate.release
        self._make_room(release, self._expected_bytes(release))
        servable, growth = self._meter.measure(lambda: self._loading.open(candidate))
        servable.memory_bytes = max(growth, _model_bytes(servable.manifest))
        try:
            self._make_room(release, servable.memory_bytes)
        except OperatorError:
            servable.close()
            raise
        if release.slot != "live":
            return servable
        # Only now: a process's first loads are measured with what its libraries take once, and are measured again.
        self._costs[release.model] = servable.memory_bytes
        # A release does not count as a use: a model without requests stays the next one to be unloaded.
        unloaded = self._slots.unloaded(release.model)
        if unloaded is None or unloaded.release.generation == release.generation:
            self._loaded_at[release.model] = self._clock()
        return servable

    def has_room(self, release: Release) -> bool:
        """Whether the model is expected to fit without unloading another."""
        return self.loaded_bytes() + self._expected_bytes(release) <= self.bound_bytes

    def loaded_bytes(self) -> int:
        """What the loaded models take."""
        return sum(servable.memory_bytes for servable in self._slots.in_memory())

    def _expected_bytes(self, release: Release) -> int:
        known = self._costs.get(release.model) if release.slot == "live" else None
        return known or _model_bytes(self._manifest_of(release))

    def _check_size(self, release: Release, needed: int) -> None:
        model = release.model
        if needed > self.bound_bytes:
            raise OperatorError(
                f"model {model} needs {_mib(needed)} MiB of memory, more than all models may use together "
                f"(HOMEOSTAT_INFERENCE_MODEL_MEMORY_MIB={self.bound_bytes // _MIB})",
                hint="raise HOMEOSTAT_INFERENCE_MODEL_MEMORY_MIB, or release a smaller model",
            )
        if release.slot == "live":
            return
        kept = self._kept(release)
        other = self._largest_except({model, *(one.model for one in kept)})
        if needed + sum(one.memory_bytes for one in kept) + other > self.bound_bytes:
            raise OperatorError(
                f"the {release.slot} of model {model} needs {_mib(needed)} MiB of memory beside its live version, "
                f"and another model {_mib(other)} MiB: more than all models may use together "
                f"(HOMEOSTAT_INFERENCE_MODEL_MEMORY_MIB={self.bound_bytes // _MIB})",
                hint="raise HOMEOSTAT_INFERENCE_MODEL_MEMORY_MIB",
            )

    def _largest_except(self, models: Collection[str]) -> int:
        """The largest memory of the other live models, loaded or not."""
        live = [one.release for one in self._slots.current()]
        live += [one.release for one in self._slots.all_unloaded()]
        return max((self._expected_bytes(one) for one in live if one.model not in models), default=0)

    def _kept(self, release: Release) -> list[Servable]:
        """What stays in memory beside `release`: canaries, shadows, and the live versions beside them. Those of its own model
        that were released before a live version end when it is served."""
        sides = [one for one in self._slots.sides.all() if not _ends_for(one, release)]
        models = {one.model for one in sides} | ({release.model} if release.slot != "live" else set())
        live = [one for one in self._slots.current() if one.model in models]
        replaced = (release.model, release.slot)
        return [one for one in [*live, *sides] if (one.model, one.release.slot) != replaced]

    def _make_room(self, release: Release, needed: int) -> None:
        self._check_size(release, needed)
        model = release.model
        end = time.monotonic() + self._room_seconds
        while (chosen := self._on_loop(lambda: self._take_out(release, needed))) is None:
            if time.monotonic() > end:
                if release.slot == "live" and self._on_loop(lambda: self._end_sides(model)):
                    continue
                raise OperatorError(
                    f"there is no memory for model {model}: every loaded model is answering requests",
                    hint="retry after a second, or raise HOMEOSTAT_INFERENCE_MODEL_MEMORY_MIB",
                )
            time.sleep(_PAUSE_SECONDS)
        for servable in chosen:
            servable.close()
            self._unloaded(servable)
            _log.info(
                "model_unloaded",
                model=servable.model,
                version=servable.version_short,
                generation=servable.generation,
                mib=_mib(servable.memory_bytes),
                room_for=model,
            )
        if chosen:
            self._meter.settle()

    def _take_out(self, release: Release, needed: int) -> list[Servable] | None:
        """On the event loop, where requests acquire: what is chosen has no request, and gets none."""
        kept = self._kept(release)
        needed += sum(one.memory_bytes for one in kept)
        others = [one for one in self._slots.current() if one.model != release.model and one not in kept]
        predicted = self._last_predictions()

        def last_used(servable: Servable) -> float:
            name = servable.model
            return max(predicted.get(name, 0.0), self._loaded_at.get(name, 0.0))

        chosen = choose_to_unload(others, needed, self.bound_bytes, last_used)
        return None if chosen is None else [one for one in chosen if self._slots.unload(one)]

    def _end_sides(self, model: str) -> bool:
        """End the canaries and shadows of the other models; whether there were any."""
        ended = [one for one in self._slots.sides.all() if one.model != model and self._slots.sides.end(one)]
        for one in ended:
            _log.warning("side_slot_ended", model=one.model, slot=one.release.slot, room_for=model)
        return bool(ended)


def _ends_for(side: Servable, release: Release) -> bool:
    return (side.model, release.slot) == (release.model, "live") and side.generation < release.generation


def _model_bytes(manifest: Manifest) -> int:
    return sum(file.size for name, file in manifest.files.items() if name != REFERENCE)


def _mib(size: int) -> float:
    return round(size / _MIB, 1)
