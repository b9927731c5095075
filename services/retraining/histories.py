"""What the policy knows of a model beside the ledger: the served version, its age, new rows, and the current event time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from services.retraining.dependencies import Dependencies
from services.retraining.ledger.records import Project
from services.retraining.policy.decision import History
from shared.contracts.loop_spec import LoopSpec
from shared.contracts.retraining_spec import NewRowsTrigger
from shared.errors import DependencyUnavailable
from shared.observability.logs import get_logger
from shared.stores.lake_statistics import count_observed

_log = get_logger(__name__)


@dataclass(frozen=True)
class ServedModel:
    """A deployed model. `loop`: of its project, else of the live version. `version` is empty if none is live."""

    model: str
    version: str
    loop: LoopSpec
    project: Project | None


class Histories:
    """Reads the history of models for the policy. Safe to call from several threads."""

    def __init__(self, deps: Dependencies) -> None:
        self._deps = deps
        self._trained_at_cache: dict[tuple[str, str], datetime] = {}

    def served_model(self, model: str) -> ServedModel | None:
        """The model as it is deployed now; None if it was never deployed. Raises DependencyUnavailable."""
        owner = self._deps.ledger.project(model)
        served = self._deps.store.live_release(model)
        if owner is None and served is None:
            return None
        version = served.version if served else ""
        loop = owner.loop if owner else self._deps.store.manifest(model, version).loop
        return ServedModel(model, version, loop, owner)

    def without_ledger(self, found: ServedModel, *, counts_rows: bool = True) -> History:
        """The history without earlier runs and verdicts, which a transaction of the ledger reads.

        `counts_rows`: whether to count new rows for a trigger `new_rows`, which reads the lake.
        """
        trained_at = self.trained_at(found.model, found.version) if found.version else None
        counted = self._rows_since(found, trained_at) if found.version and counts_rows else None
        return History(
            found.version,
            bool(found.project and found.project.directory),
            trained_at,
            counted,
            newest_is_faulty=self._deps.ledger.verdict_log.newest_is_faulty(found.model),
            consumes_verdicts=self._deps.settings.listen,
        )

    def complete(self, found: ServedModel, *, counts_rows: bool = True) -> History:
        """The history with earlier runs and verdicts, as one read of the ledger."""
        runs, verdicts = self._deps.ledger.past(found.model, found.version)
        return replace(self.without_ledger(found, counts_rows=counts_rows), runs=runs, verdicts=verdicts)

    def event_time(self, model: str) -> datetime:
        """The current event time: the lake's watermark, else the newest verdict's, else the clock's.

        Never later than the clock: a run in the future would stop all schedules.
        """
        clock = self._deps.clock()
        return min(self.watermark(model) or self._deps.ledger.event_time(model) or clock, clock)

    def watermark(self, model: str) -> datetime | None:
        """Event time of the newest row in the lake; None if there is none or the lake is unavailable."""
        try:
            return self._deps.lake.watermark(model)
        except DependencyUnavailable as error:
            _log.warning("lake_unavailable", model=model, problem=str(error))
            return None

    def trained_at(self, model: str, version: str) -> datetime | None:
        """Event time at which a version was trained: from its run, else its last training row, else its first window."""
        known = self._trained_at_cache.get((model, version))
        if known is not None:
            return known
        runs = self._deps.ledger.runs_of_version(version)
        if runs:
            trained_at: datetime | None = runs[0].event_time
        else:
            until = self._deps.store.manifest(model, version).origin.trained_until
            trained_at = datetime.fromisoformat(until) if until else None
        if trained_at is None:
            return self._deps.ledger.first_window(model, version)
        self._trained_at_cache[model, version] = trained_at
        return trained_at

    def _rows_since(self, found: ServedModel, trained_at: datetime | None) -> int | None:
        """Number of outcomes observed since the last training; None if no trigger needs it or the lake is unavailable."""
        if not _counts_rows(found.loop):
            return None
        run_times = [run.event_time for run in self._deps.ledger.past(found.model)[0] if run.counts]
        return self.rows_observed(
            found.loop, max([*run_times, *([trained_at] if trained_at else [])], default=None)
        )

    def rows_observed(self, loop: LoopSpec, since: datetime | None) -> int | None:
        """Number of outcomes observed since then; None if no trigger of `loop` needs it or the lake is unavailable."""
        if not _counts_rows(loop):
            return None
        try:
            return count_observed(self._deps.lake, loop.model, since, excluded_senders=loop.excluded_senders)
        except DependencyUnavailable as error:
            _log.warning("lake_unavailable", model=loop.model, problem=str(error))
            return None


def _counts_rows(loop: LoopSpec) -> bool:
    performance = loop.performance
    triggers = performance.retraining.triggers if performance else ()
    return any(isinstance(trigger, NewRowsTrigger) for trigger in triggers)
