"""The profile of the version that answered a row; a row without a released reference is told apart at almost no cost.

A profile takes seconds, because its thresholds are simulated. It is made when a version is released, before its first rows come;
a row that comes before it is ready waits for it.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Literal

from services.drift.evaluation.reference_profile import Reference
from services.drift.monitoring.references import References
from services.drift.stream.stream_profile import StreamProfile
from shared.errors import HomeostatError, NotFound
from shared.observability.logs import get_logger, log_unknown_error

_log = get_logger(__name__)

Reason = Literal["unknown_model", "unknown_release", "no_reference", "canary"]
# What was not found is looked for again after this long: one look-up, however many records come meanwhile.
RETRY_SECONDS = 10.0
# The same for the list of models; a new one has rows soon after its first release.
MODELS_SECONDS = 2.0
KEPT_MISSES = 1024
# Versions that were prepared once. A profile that had to make room is made again when a row needs it, and not before.
KEPT_PREPARED = 4096


class NotWatched(Exception):
    """These rows are not watched, and why."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason: Reason = reason


class Profiles:
    """Profiles by model and version, at most `kept`. `make`: of a reference. `get` is for one thread; `prepare` may run in
    another."""

    def __init__(
        self,
        references: References,
        make: Callable[[Reference], StreamProfile],
        clock: Callable[[], float] = time.monotonic,
        *,
        kept: int = 128,
    ) -> None:
        self._references = references
        self._kept = kept
        self._prepared: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._make = make
        self._clock = clock
        self._models: frozenset[str] = frozenset()
        self._models_read = -MODELS_SECONDS
        self._ready: OrderedDict[tuple[str, str], StreamProfile] = OrderedDict()
        self._lock = Lock()
        self._making: dict[tuple[str, str], Lock] = {}
        self._misses: OrderedDict[tuple[str, int, str], tuple[float, Reason]] = OrderedDict()

    def get(self, model: str, generation: int, version: str) -> StreamProfile:
        """The profile of a release. Raises NotWatched.

        1. is the model released?   2. has its release log this generation, live and with this version?
        3. its verified reference
        """
        if not self._is_released(model):
            raise NotWatched("unknown_model")
        missed = self._misses.get((model, generation, version))
        if missed is not None and self._clock() < missed[0] + RETRY_SECONDS:
            raise NotWatched(missed[1])
        reason: Reason = "unknown_release"
        try:
            return self._load(model, generation, version)
        except NotWatched as why:
            reason = why.reason
        except NotFound:
            pass
        except HomeostatError as error:
            _log.warning("stream_reference_unavailable", model=model, version=version[:12], error=str(error))
            reason = "no_reference"
        except Exception as error:  # seconds of work for each record that comes would end in the same error
            error_id = log_unknown_error(_log, error)
            _log.error("stream_profile_failed", model=model, version=version[:12], error_id=error_id)
            reason = "no_reference"
        self._misses[model, generation, version] = (self._clock(), reason)
        self._misses.move_to_end((model, generation, version))
        while len(self._misses) > KEPT_MISSES:
            self._misses.popitem(last=False)
        raise NotWatched(reason)

    def prepare(self, model: str, version: str) -> None:
        """Make the profile of the version that is served now, once. Raises HomeostatError.

        Making one may fetch the reference, and a fetched reference asks for its profile: without a memory of what was prepared,
        more models than there is room for would prepare each other's profiles for ever.
        """
        release = self._references.live_release(model)
        if release is None or release.version != version or (model, version) in self._prepared:
            return
        self._prepared[model, version] = None
        while len(self._prepared) > KEPT_PREPARED:
            self._prepared.popitem(last=False)
        self._profile(model, version)

    def _load(self, model: str, generation: int, version: str) -> StreamProfile:
        release = self._references.release(model, generation)
        if release.slot != "live":
            raise NotWatched("canary")
        if release.version != version:
            raise NotFound(f"release {generation} of {model} is of another version")
        return self._profile(model, version)

    def _profile(self, model: str, version: str) -> StreamProfile:
        key = (model, version)
        with self._lock:
            making = self._making.setdefault(key, Lock())
        try:
            with making:
                with self._lock:
                    profile = self._ready.get(key)
                if profile is None:
                    profile = self._make_profile(model, version)
                with self._lock:
                    self._ready[key] = profile
                    self._ready.move_to_end(key)
                    while len(self._ready) > self._kept:
                        self._ready.popitem(last=False)
                return profile
        finally:
            with self._lock:
                self._making.pop(key, None)

    def _make_profile(self, model: str, version: str) -> StreamProfile:
        reference = self._references.get(model, version)
        minimum = reference.loop.drift.window.minimum_rows
        if len(reference.rows) < minimum:
            raise NotFound(f"the reference has {len(reference.rows)} rows, fewer than {minimum}")
        begun = time.perf_counter()
        profile = self._make(reference)
        _log.info(
            "stream_profile_ready",
            model=model,
            version=version[:12],
            columns=len(profile.layout.columns),
            tile_seconds=profile.tile_seconds,
            seconds=round(time.perf_counter() - begun, 2),
        )
        return profile

    def _is_released(self, model: str) -> bool:
        if model not in self._models and self._clock() >= self._models_read + MODELS_SECONDS:
            self._models_read = self._clock()
            try:
                self._models = frozenset(self._references.models())
            except HomeostatError as error:
                _log.warning("model_list_unavailable", error=str(error))
        return model in self._models
