"""Follows the canaries and shadows of the release log. Whatever becomes of their loads, the live version is not touched."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from services.inference.models.retry_schedule import Failure, after_failure, is_due
from services.inference.models.servable import Servable
from services.inference.models.slot import Slots
from shared.contracts.manifest import short
from shared.contracts.release import Release, Slot
from shared.errors import HomeostatError
from shared.observability.logs import get_logger

_log = get_logger(__name__)
SIDES: tuple[Slot, ...] = ("canary", "shadow")


class SideLog(Protocol):
    """The part of the release log that is read again after a load."""

    def slots(self, model: str) -> dict[Slot, Release]: ...


class SideMetrics(Protocol):
    """Where loads are counted."""

    def loads(self, model: str, slot: Slot, *, failed: bool) -> None: ...


class VersionMetrics(Protocol):
    """Where versions in memory are counted."""

    def side_loaded(self, servable: Servable) -> None: ...

    def loaded(self, servable: Servable) -> None: ...


class SideReleases:
    """Used by the release poller, on its thread."""

    def __init__(
        self,
        log: SideLog,
        slots: Slots[Servable],
        load: Callable[[Release], Servable],
        *,
        metrics: SideMetrics,
        versions: VersionMetrics,
        on_loop: Callable[[Callable[[], bool]], bool],
        retry_seconds: float,
        clock: Callable[[], float],
        load_live: Callable[[Release], Servable] | None = None,
    ) -> None:
        """`load_live`: loads a live version that is not in memory; None where all are."""
        self._releases = log
        self._slots = slots
        self._load = load
        self._metrics = metrics
        self._versions = versions
        self._on_loop = on_loop
        self._retry_seconds = retry_seconds
        self._clock = clock
        self._load_live = load_live
        self._failures: dict[tuple[str, Slot], Failure] = {}

    def problems(self, model: str) -> dict[Slot, str]:
        """Why canary or shadow of a model cannot be loaded."""
        failures = {slot: self._failures.get((model, slot)) for slot in SIDES}
        return {slot: failure.problem for slot, failure in failures.items() if failure is not None}

    def end(self, model: str, served: Mapping[Slot, Release], *, live_failed: bool) -> None:
        """End at once what the log no longer has. `live_failed`: the newest live release could not be loaded.

        A canary that was promoted answers its share until the same version is live: its keys do not go back and forth.
        """
        for slot in SIDES:
            wanted = served.get(slot)
            if wanted is None and self._failures.pop((model, slot), None) is not None:
                self._metrics.loads(model, slot, failed=False)
            held = self._slots.sides.get(model, slot)
            if held is None or (wanted is not None and wanted.version == held.version):
                continue
            live = served.get("live")
            if slot == "canary" and live is not None and not live_failed and self._is_promoted(held, live):
                continue
            if self._on_loop(lambda held=held: self._slots.sides.end(held)):  # type: ignore[misc]
                _log.info("side_slot_ended", model=model, slot=slot, version=held.version_short)

    def follow(self, model: str, served: Mapping[Slot, Release], may_go_on: Callable[[], bool]) -> None:
        """Load canary and shadow of a model whose live version is served, where they are not loaded yet."""
        live, wanted_live = self._slots.live_release(model), served.get("live")
        if live is None or wanted_live is None or live.generation != wanted_live.generation:
            return
        for slot in SIDES:
            wanted, held = served.get(slot), self._slots.sides.get(model, slot)
            if wanted is None or (held is not None and held.generation == wanted.generation):
                continue
            if may_go_on():
                self._try(wanted)

    def _try(self, release: Release) -> None:
        model, slot = release.model, release.slot
        failure = self._failures.get((model, slot))
        if not is_due(failure, generation=release.generation, now=self._clock()):
            return
        try:
            self._load_unloaded(model)
            servable = self._load(release)
            # It may have been withdrawn while it was loaded.
            if self._releases.slots(model).get(slot) != release or not self._on_loop(
                lambda: self._slots.sides.put(servable)
            ):
                servable.close()
                return
        except Exception as error:  # unknown errors too: the live version answers
            self._fail(release, failure, error)
            return
        self._failures.pop((model, slot), None)
        self._metrics.loads(model, slot, failed=False)
        self._versions.side_loaded(servable)
        _log.info(
            "side_slot_served",
            model=model,
            slot=slot,
            version=short(release.version),
            generation=release.generation,
            share=release.share,
        )

    def _load_unloaded(self, model: str) -> None:
        """Load the live version if it was unloaded: a canary or shadow works beside it."""
        unloaded = self._slots.unloaded(model)
        if unloaded is None or self._load_live is None:
            return
        live = self._load_live(unloaded.release)
        if self._on_loop(lambda: self._slots.swap(live)):
            self._versions.loaded(live)
        else:  # a request needed it too, and had it loaded first
            live.close()

    def _is_promoted(self, held: Servable, live: Release) -> bool:
        served = self._slots.live_release(live.model)
        is_loading = served is None or served.generation < live.generation
        return is_loading and live.version == held.version and live.generation > held.generation

    def _fail(self, release: Release, before: Failure | None, error: Exception) -> None:
        failure = after_failure(
            before,
            generation=release.generation,
            problem=str(error) or type(error).__name__,
            now=self._clock(),
            first_wait=self._retry_seconds,
        )
        self._failures[release.model, release.slot] = failure
        self._metrics.loads(release.model, release.slot, failed=True)
        _log.error(
            "side_slot_not_served",
            model=release.model,
            slot=release.slot,
            version=short(release.version),
            generation=release.generation,
            problem=failure.problem,
            exc_info=None if isinstance(error, HomeostatError) else error,
        )
