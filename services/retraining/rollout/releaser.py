"""The only writer of the release log: deployments, promotions and rollbacks, by compare-and-swap on the generation."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Literal

from services.retraining.ledger.ledger import Ledger
from services.retraining.metrics import RetrainingMetrics
from services.retraining.rollout.release_annotations import Annotator, announce
from services.retraining.rollout.rollback import rollback_target
from shared.contracts.manifest import short
from shared.contracts.release import Release
from shared.errors import Conflict, DependencyUnavailable, IntegrityError, NotFound
from shared.observability.logs import get_logger
from shared.stores.model_store import ModelStore

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
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._metrics = metrics
        self._annotator = annotator
        self._clock = clock

    def deploy(self, model: str, version: str, actor: str) -> Release:
        """Release a version at a person's request. Raises Conflict if another release was made at the same time."""
        return self._append(model, self._store.releases(model), version, "deployment", actor, "")

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
    ) -> Release:
        """Find or create the one release of a run.

        Raises Conflict if the champion it was compared with is no longer served.

        1. return the release with this run's id, if the log has one   2. check that the champion is still served
        3. create the next generation; if it exists already, read the log again
        """
        for _ in range(_TRIES):
            log = self._store.releases(model)
            for existing in reversed(log):
                if existing.run_id == run_id:
                    self._record(existing)
                    return existing
            served = log[-1].version if log else ""
            if served != champion:
                raise Conflict(
                    f"the challenger was compared with {short(champion) or 'nothing'}, "
                    f"but {short(served) or 'nothing'} is served now",
                    hint="start a new run",
                )
            try:
                return self._append(model, log, version, "promotion", actor, note, run_id, cause_key)
            except Conflict:
                continue
        raise Conflict(f"the release log of {model} keeps changing", hint="try again")

    def roll_back(
        self,
        model: str,
        actor: str,
        reason: str,
        to_generation: int | None,
        expected_generation: int | None,
        verify: Callable[[str, str], None],
    ) -> Release:
        """Restore the version of a generation, or the previous one. Raises NotFound, Conflict, IntegrityError.

        1. check that the expected generation is served   2. find the release to restore   3. `verify` its version's bytes
        4. append; if another release was made since 1, raise Conflict and change nothing
        """
        log = self._store.releases(model)
        check_generation(log, expected_generation)
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
        reason: Literal["deployment", "promotion", "rollback"],
        actor: str,
        note: str,
        run_id: str = "",
        cause_key: str = "",
    ) -> Release:
        made = Release(
            model=model,
            generation=len(log) + 1,
            version=version,
            previous=log[-1].version if log else "",
            reason=reason,
            actor=actor,
            run_id=run_id,
            cause_key=cause_key,
            note=note,
            released_at=self._clock(),
        )
        entry = self._store.add_release(made)
        self._record(entry)
        self._metrics.releases.labels(model, reason).inc()
        announce(self._annotator, entry)
        _log.info(
            "released",
            model=model,
            version=version,
            generation=entry.generation,
            reason=reason,
            actor=actor,
            run_id=run_id,
        )
        return entry

    def _record(self, entry: Release) -> None:
        self._ledger.record_release(entry)
        self._metrics.generation.labels(entry.model).set(entry.generation)


def check_generation(log: list[Release], expected: int | None) -> None:
    """Raises Conflict if the served generation is not the expected one; None disables the check."""
    if expected is not None and expected != len(log):
        last = f": a {log[-1].reason} by {log[-1].actor}" if log else ""
        raise Conflict(
            f"generation {expected} was expected to be served, but generation {len(log)} is{last}",
            hint="check the releases: the change may have been made already",
        )
