"""Polls the release log: loads each new live generation beside the one before, then swaps; then canaries and shadows."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from services.inference.models.earlier_release import load_earlier
from services.inference.models.retry_schedule import Failure, after_failure, is_due
from services.inference.models.servable import Servable
from services.inference.models.slot import Slots
from shared.contracts.manifest import short
from shared.contracts.release import Release, Slot
from shared.errors import DependencyUnavailable, HomeostatError
from shared.observability.logs import get_logger

_log = get_logger(__name__)


class ReleaseLog(Protocol):
    """The part of the release log that the poller reads."""

    def models(self) -> list[str]: ...

    def slots(self, model: str) -> dict[Slot, Release]: ...

    def release(self, model: str, generation: int) -> Release: ...


class SwapMetrics(Protocol):
    """Where the poller counts swaps."""

    def swapped(self, servable: Servable, *, seconds: float) -> None: ...

    def swap_failed(self, model: str) -> None: ...

    def release_unreadable(self, model: str) -> None: ...

    def registered(self, release: Release) -> None: ...

    def loaded(self, servable: Servable) -> None: ...

    def release_served(self, model: str) -> None: ...

    def unloaded(self, servable: Servable) -> None: ...


class Sides(Protocol):
    """What loads and ends canaries and shadows."""

    def end(self, model: str, served: Mapping[Slot, Release], *, live_failed: bool) -> None: ...

    def follow(self, model: str, served: Mapping[Slot, Release], may_go_on: Callable[[], bool]) -> None: ...


class ReleaseLogPoller:
    """Polls the release log on its own thread. Errors never unload the live version."""

    def __init__(
        self,
        releases: ReleaseLog,
        slots: Slots[Servable],
        load: Callable[[Release], Servable],
        *,
        metrics: SwapMetrics,
        on_loop: Callable[[Callable[[], bool]], bool],
        only: Sequence[str] = (),
        poll_seconds: float,
        retry_seconds: float,
        clock: Callable[[], float] = time.monotonic,
        has_room: Callable[[Release], bool] | None = None,
        sides: Sides | None = None,
    ) -> None:
        """`on_loop` runs a function on the event loop, which owns the slots, and returns its result.

        `has_room`: whether memory is left for a model at the start; those without room are loaded when requests need them. None:
        every model is loaded. `sides`: None where only live versions are served.
        """
        self._releases = releases
        self._slots = slots
        self._load = load
        self._metrics = metrics
        self._on_loop = on_loop
        self._only = frozenset(only)
        self._poll_seconds = poll_seconds
        self._retry_seconds = retry_seconds
        self._clock = clock
        self._has_room = has_room
        self._sides = sides
        self._failures: dict[str, Failure] = {}
        self._store_problem = "not read yet"
        self._last_read: float | None = None
        self._known: frozenset[str] = frozenset()
        # Whether every release of the first poll has been loaded, or could not be.
        self.has_polled = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="release-log", daemon=True)
        slots.on_release(lambda model: model in self.followed_models())

    def start(self) -> None:
        """Start polling."""
        self._thread.start()

    def begin_stop(self) -> None:
        """Follow no release any more; a load that fails from now on is not a failure of its release."""
        self._stop.set()

    def stop(self, seconds: float = 5.0) -> None:
        """Stop polling; a load in progress has `seconds` to finish."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=seconds)

    def problem(self, model: str) -> str:
        """Why the newest release of a model is not live; empty if it is live or loading."""
        failure = self._failures.get(model)
        return failure.problem if failure else ""

    def failing(self) -> list[str]:
        """Models whose newest release could not be loaded."""
        return sorted(self._failures)

    def known_models(self) -> frozenset[str]:
        """Models with a release at the last successful poll, also those that this server does not serve."""
        return self._known

    def followed_models(self) -> frozenset[str]:
        """Known models that this server is configured to serve."""
        return self._known & self._only if self._only else self._known

    @property
    def store_problem(self) -> str:
        """Why the release log cannot be read; empty if it can."""
        return self._store_problem

    def seconds_since_read(self) -> float | None:
        """Seconds since the release log was last read completely; None before the first time."""
        return None if self._last_read is None else self._clock() - self._last_read

    def poll(self) -> None:
        """Poll once.

        1. unload drained versions   2. read what each model's log says is served   3. end canaries and shadows that it does
        not have   4. load new live releases, and swap on the event loop   5. load new canaries and shadows
        A release that cannot be read is a problem of its model; the other models are followed. Where the newest release cannot be
        loaded and none is live, as after a restart, the last one that can be loaded is served.
        With bounded memory, the first poll makes every model known at once, and loads as many as there is room for.
        """
        self._unload()
        try:
            known = frozenset(self._releases.models())
            models = sorted(known & self._only if self._only else known)
            logs, unreadable = self._read_logs(models)
        except Exception as error:  # each kind of store has its own errors; none may end the thread
            if not self._store_problem or self._last_read is None:
                _log.warning("release_log_unavailable", problem=str(error))
            self._store_problem = str(error) or type(error).__name__
            return
        is_first = self._last_read is None
        self._store_problem, self._last_read, self._known = "", self._clock(), known
        for model, problem in unreadable.items():
            self._report_unreadable(model, problem)
        if is_first and self._has_room is not None:
            self._on_loop(lambda: self._register([served["live"] for served in logs.values()]))
        for model, served in logs.items():
            if self._stop.is_set():
                return
            if self._sides is not None:
                failure = self._failures.get(model)
                failed = failure is not None and failure.generation == served["live"].generation
                self._sides.end(model, served, live_failed=failed)
            self._follow(served["live"], fill=is_first)
        if self._sides is not None:
            for model, served in logs.items():
                self._sides.follow(model, served, lambda: not self._stop.is_set())
        self.has_polled = True
        self._unload()

    def _read_logs(
        self, models: Sequence[str]
    ) -> tuple[dict[str, dict[Slot, Release]], dict[str, Exception]]:
        """The releases served of each model, and the models whose log cannot be read. Raises if the store is unavailable."""
        logs: dict[str, dict[Slot, Release]] = {}
        unreadable = {}
        for model in models:
            try:
                served = self._releases.slots(model)
            except Exception as error:  # as above
                unreadable[model] = error
            else:
                logs |= {model: served} if "live" in served else {}
        errors = list(unreadable.values())
        if errors and not logs and all(isinstance(error, DependencyUnavailable) for error in errors):
            raise errors[0]
        return logs, unreadable

    def _report_unreadable(self, model: str, error: Exception) -> None:
        problem = str(error) or type(error).__name__
        if self.problem(model) != problem:
            _log.error(
                "release_unreadable",
                model=model,
                problem=problem,
                exc_info=None if isinstance(error, HomeostatError) else error,
            )
        # Generation 0: whatever release can be read later is loaded at once.
        self._failures[model] = Failure(0, problem, 1, self._clock())
        self._metrics.release_unreadable(model)

    def _register(self, newest: list[Release]) -> bool:
        for release in newest:
            if self._slots.register(release):
                self._metrics.registered(release)
        return True

    def _follow(self, release: Release, *, fill: bool) -> None:
        served = self._slots.live_release(release.model)
        if (
            served is not None
            and served.generation == release.generation
            and served.version == release.version
        ):
            if not self._must_load(release, fill=fill):
                if self._failures.pop(release.model, None) is not None:
                    self._metrics.release_served(release.model)
                return
            served = None
        failure = self._failures.get(release.model)
        if not is_due(failure, generation=release.generation, now=self._clock()):
            return
        log = _log.bind(model=release.model, version=short(release.version), generation=release.generation)
        start = self._clock()
        try:
            if served is not None and release.generation <= served.generation:
                raise HomeostatError(
                    f"the release log went back from generation {served.generation} to {release.generation}",
                    hint="restore the release log; to return to an older version, `homeostat rollback`",
                )
            servable = self._load(release)
            if not self._on_loop(lambda: self._slots.swap(servable)):
                servable.close()  # a request needed the same model, and had it loaded first
                return
        except Exception as error:  # unknown errors too: the old version stays live
            if self._stop.is_set():
                return
            self._fail(release, failure, error)
            if self._slots.live_release(release.model) is None:
                self._serve_earlier(release)
            return
        self._failures.pop(release.model, None)
        self._metrics.swapped(servable, seconds=self._clock() - start)
        log.info(
            "release_served",
            device=servable.device,
            seconds=round(self._clock() - start, 3),
            replaced=short(served.version) if served else "",
        )

    def _serve_earlier(self, failed: Release) -> None:
        """Serve the last release that can be loaded, as servers do that ran before `failed` was released."""
        servable = load_earlier(self._releases, failed, self._load, self._stop.is_set)
        if servable is None:
            return
        if not self._on_loop(lambda: self._slots.swap(servable)):
            servable.close()
            return
        self._metrics.loaded(servable)
        _log.warning("earlier_release_served", model=failed.model, generation=servable.generation)

    def _must_load(self, release: Release, *, fill: bool) -> bool:
        """Whether a live release that was never loaded is loaded now: there is room at the start, or it failed then."""
        unloaded = self._slots.unloaded(release.model)
        if self._has_room is None or unloaded is None or unloaded.servable is not None:
            return False
        if fill:
            try:
                return self._has_room(release)
            except HomeostatError:  # its load has the same problem, and reports it
                return True
        return release.model in self._failures

    def _fail(self, release: Release, before: Failure | None, error: Exception) -> None:
        failure = after_failure(
            before,
            generation=release.generation,
            problem=str(error) or type(error).__name__,
            now=self._clock(),
            first_wait=self._retry_seconds,
        )
        self._failures[release.model] = failure
        self._metrics.swap_failed(release.model)
        _log.error(
            "release_not_served",
            model=release.model,
            version=short(release.version),
            generation=release.generation,
            problem=failure.problem,
            attempts=failure.attempts,
            exc_info=None if isinstance(error, HomeostatError) else error,
        )

    def _unload(self) -> None:
        while (servable := self._slots.next_drained()) is not None:
            servable.close()
            self._metrics.unloaded(servable)
            _log.info(
                "version_unloaded",
                model=servable.model,
                version=servable.version_short,
                generation=servable.generation,
            )

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.poll()
            except Exception as error:
                _log.error("release_log_poll_failed", exc_info=error)
            self._stop.wait(self._poll_seconds)
