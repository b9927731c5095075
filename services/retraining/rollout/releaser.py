"""The only writer of the release log: deployments, promotions, rollbacks, canaries and shadows, by compare-and-swap on the
generation."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Literal

from services.retraining.ledger.ledger import Ledger
from services.retraining.metrics import RetrainingMetrics
from services.retraining.rollout.release_annotations import Annotator, announce
from services.retraining.rollout.release_checks import (
    LOOP,
    check_canary,
    check_champion,
    check_generation,
    check_vacant,
    closing_entry,
    keeps_changing,
    promotion_of,
)
from services.retraining.rollout.rollback import rollback_target
from shared.contracts.manifest import short
from shared.contracts.release import Reason, Release, Slot, slots
from shared.errors import Conflict, DependencyUnavailable, IntegrityError, NotFound
from shared.observability.logs import get_logger
from shared.stores.model_store import ModelStore

SideSlot = Literal["canary", "shadow"]
_TRIES = 5
_log = get_logger(__name__)


class Releaser:
    """Appends to the release log, then updates ledger, metrics and Grafana.

    The log is the source of truth. After a crash between the two, `record_releases` updates the ledger.
    """

    def __init__(
        self,
        store: ModelStore,
        ledger: Ledger,
        metrics: RetrainingMetrics,
        annotator: Annotator,
        clock: Callable[[], datetime],
        gate_url: Callable[[str], str] = lambda _: "",
    ) -> None:
        """`gate_url`: the page of a run's gate result, for annotations."""
        self._store = store
        self._ledger = ledger
        self._metrics = metrics
        self._annotator = annotator
        self._clock = clock
        self._gate_url = gate_url

    def deploy(
        self, model: str, version: str, actor: str, note: str = "", champion: str | None = None
    ) -> Release:
        """Release a version at a person's request. Raises Conflict if another release was made at the same time.

        `champion`: the version that must be live, because the gate compared with it; empty: none may be; None: any.
        """
        log = self._store.releases(model)
        if champion is not None:
            check_champion(log, champion, hint="deploy again: the gate compares with what is served now")
        return self._append(model, log, version, "deployment", actor, note)

    def promote(
        self,
        model: str,
        *,
        version: str,
        champion: str,
        actor: str,
        run_id: str,
        cause_key: str,
        note: str,
        after_canary: bool = False,
    ) -> Release:
        """Find or create the one release of a run. `after_canary`: its version must be served as canary until then. It may wait
        long for its turn, and a person who ends the canary meanwhile does not want it.

        Raises Conflict if the champion it was compared with is no longer served, CanaryEnded.

        1. return the release with this run's id, if the log has one   2. check that champion and canary are still served
        3. create the next generation; if it exists already, read the log again
        """
        for _ in range(_TRIES):
            log = self._store.releases(model)
            if (done := promotion_of(log, run_id)) is not None:
                self._record(done)
                return done
            check_champion(log, champion)
            if after_canary:
                check_canary(log, version)
            try:
                return self._append(model, log, version, "promotion", actor, note, run_id, cause_key)
            except Conflict:
                continue
        raise keeps_changing(model)

    def start(
        self,
        model: str,
        slot: SideSlot,
        *,
        version: str,
        share: float,
        actor: str,
        note: str = "",
        champion: str | None = None,
        run_id: str = "",
        cause_key: str = "",
    ) -> Release:
        """Serve a version as canary or shadow with this share, in place of the version in that slot; find or create the entry.

        `champion`: the version that must be live; None: any. Raises Conflict if another one is, or if `version` is live, NotFound
        without a live version, SlotTaken if a run finds a version there that it did not start. An entry of the same version,
        share and run that is in force is returned.
        """
        for _ in range(_TRIES):
            log = self._store.releases(model)
            served = slots(log)
            same = (version, share, run_id)
            existing = served.get(slot)
            if existing is not None and (existing.version, existing.share, existing.run_id) == same:
                self._record(existing)
                return existing
            if champion is not None:
                check_champion(log, champion)
            if run_id:
                check_vacant(log, slot, run_id)
            if "live" not in served:
                raise NotFound(
                    f"{model} has no live version", hint="deploy the first version without a share"
                )
            if served["live"].version == version:
                raise Conflict(
                    f"version {short(version)} is live already, so it cannot be a {slot}",
                    hint="name another version",
                )
            try:
                return self._append(model, log, version, slot, actor, note, run_id, cause_key, slot, share)
            except Conflict:
                continue
        raise keeps_changing(model)

    def withdraw(
        self,
        model: str,
        slot: SideSlot,
        *,
        actor: str,
        note: str = "",
        version: str = "",
        run_id: str = "",
        cause_key: str = "",
    ) -> Release | None:
        """End the canary or shadow, if it runs; None if not. `version`: only where it is of this version; empty: of any.

        `run_id`: only if this run has started the slot. What a person runs there may be of the same version, and goes on. If it
        never did, nothing ends, but a leader that was stopped before it started the slot cannot do so any more: see `foreclose`.
        """
        for _ in range(_TRIES):
            log = self._store.releases(model)
            running = slots(log).get(slot)
            mine = running is not None and version in ("", running.version)
            if run_id:
                mine = mine and any((entry.run_id, entry.reason) == (run_id, slot) for entry in log)
            bars = running is None and bool(run_id) and self._ledger.is_fenced
            bars = bars and all((entry.run_id, entry.slot) != (run_id, slot) for entry in log)
            if not (mine or bars):
                return None
            ended = running.version if running is not None else version
            try:
                made = self._append(model, log, ended, "withdrawal", actor, note, run_id, cause_key, slot, 0)
            except Conflict:
                continue
            return made if mine else None
        raise keeps_changing(model)

    def foreclose(
        self, model: str, *, version: str, run_id: str, cause_key: str, note: str
    ) -> Release | None:
        """Make final that a run ends unpromoted, and end its canary; returns its promotion if the log has one already.

        A leader that was stopped after it had checked the lease could still add that promotion. So, if another process can take
        the lease, an entry that changes nothing takes the generation that it would have: its compare-and-swap then fails.
        """
        for _ in range(_TRIES):
            try:
                log = self._store.releases(model)
            except (IntegrityError, NotFound):
                return None  # nor can anybody promote: that reads the log again after each conflict
            if (done := promotion_of(log, run_id)) is not None:
                self._record(done)
                return done
            entry = closing_entry(log, version, fenced=self._ledger.is_fenced)
            if entry is None:
                return None
            try:
                self._append(model, log, entry[0], entry[1], LOOP, note, run_id, cause_key, *entry[2:])
                return None
            except Conflict:
                continue
        raise keeps_changing(model)

    def roll_back(
        self,
        model: str,
        actor: str,
        reason: str,
        to_generation: int | None,
        expected_generation: int | None,
        verify: Callable[[str, str], None],
    ) -> Release:
        """Restore the version of a generation, or take the newest release back. Raises NotFound, Conflict, IntegrityError.

        1. check that the expected generation is the newest   2. without `to_generation`, a running canary is withdrawn
        3. else find the release to restore   4. `verify` its version's bytes
        5. append; if another release was made since 1, raise Conflict and change nothing
        """
        log = self._store.releases(model)
        check_generation(log, expected_generation)
        canary = slots(log).get("canary")
        if canary is not None and to_generation is None:
            return self._append(
                model, log, canary.version, "withdrawal", actor, reason, slot="canary", share=0.0
            )
        target = rollback_target(log, to_generation)
        verify(model, target.version)
        note = reason or f"back to generation {target.generation}"
        current = self._store.releases(model)
        check_generation(current, len(log))
        return self._append(model, current, target.version, "rollback", actor, note)

    def record_releases(self) -> None:
        """Copy missing releases to the ledger: a crash may have happened after the release log was written.

        A log that cannot be read is reported; those of the other models are copied.
        """
        for model in self._store.models():
            try:
                for entry in self._store.releases(model):
                    self._record(entry)
            except (IntegrityError, NotFound, DependencyUnavailable) as error:
                _log.error("release_log_unreadable", model=model, problem=str(error))

    def _append(
        self,
        model: str,
        log: list[Release],
        version: str,
        reason: Reason,
        actor: str,
        note: str,
        run_id: str = "",
        cause_key: str = "",
        slot: Slot = "live",
        share: float = 1.0,
    ) -> Release:
        self._ledger.require_lease()
        before = slots(log).get(slot)
        made = Release(
            model=model,
            generation=len(log) + 1,
            version=version,
            previous=before.version if before else "",
            reason=reason,
            actor=actor,
            run_id=run_id,
            cause_key=cause_key,
            note=note,
            released_at=self._clock(),
            slot=slot,
            share=share,
        )
        entry = self._store.add_release(made)
        self._record(entry)
        self._metrics.releases.labels(model, reason).inc()
        announce(self._annotator, entry, self._gate_url(entry.run_id) if entry.run_id else "")
        _log.info(
            "released",
            model=model,
            version=version,
            generation=entry.generation,
            slot=slot,
            share=share,
            reason=reason,
            actor=actor,
            run_id=run_id,
        )
        return entry

    def _record(self, entry: Release) -> None:
        self._ledger.record_release(entry)
        if entry.slot == "live":
            self._metrics.generation.labels(entry.model).set(entry.generation)
