"""The one room behind all deps: hears causes, and does what people ask. Kafka and HTTP call the same functions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from services.retraining.cause import Cause
from services.retraining.dependencies import Dependencies
from services.retraining.ledger.acknowledgements import BulkAcknowledgement
from services.retraining.ledger.ledger import Ledger
from services.retraining.ledger.records import Recorded, Run
from services.retraining.metrics import RetrainingMetrics
from services.retraining.policy.decide import decide
from services.retraining.policy.decision import Decision, History, PastRun, PastVerdict
from services.retraining.policy.limits import may_start
from services.retraining.runs.pipeline import Pipeline
from shared.contracts.loop_spec import LoopSpec, NewRowsTrigger, read_loop_spec
from shared.contracts.manifest import short
from shared.contracts.release import Release
from shared.contracts.verdict import Verdict
from shared.errors import DependencyUnavailable, InvalidRequest
from shared.observability.logs import get_logger

_log = get_logger(__name__)


class Controller:
    """Decides about causes and acts on release log and ledger. Safe to call from several threads and processes at once."""

    def __init__(
        self,
        deps: Dependencies,
        pipeline: Pipeline,
        wake: Callable[[], None],
        judged: Callable[[Verdict], None] = lambda _: None,
    ) -> None:
        """`wake` makes the scheduler poll now; `judged` receives every verdict after its decision, and must return at once."""
        self._deps = deps
        self._pipeline = pipeline
        self._wake = wake
        self._judged = judged
        self._ledger: Ledger = deps.ledger
        self._metrics: RetrainingMetrics = deps.metrics
        self._trained_at_cache: dict[tuple[str, str], datetime] = {}

    def handle_cause(self, cause: Cause) -> Recorded:
        """Record and decide about a cause, once; whoever delivers it again gets the answer of then. Raises DependencyUnavailable.

        1. look up what is served, and the past that is not in the ledger   2. decide and write, in one transaction
        3. wake the scheduler; if the process dies before, the next poll finds the run in the ledger
        """
        model = cause.model
        owner = self._ledger.project(model)
        served = self._deps.store.latest_release(model)
        spec = (
            owner.loop
            if owner
            else (self._deps.store.manifest(model, served.version).loop if served else None)
        )
        now = self._event_time(cause)
        version = served.version if served else ""
        trained_at = self._trained_at(model, version) if version else None
        counted = self._rows_since(model, spec, trained_at) if spec and version else None

        def policy(accepted: Cause, runs: tuple[PastRun, ...], verdicts: tuple[PastVerdict, ...]) -> Decision:
            if spec is None:
                return Decision(
                    "wait", "no_project", f"model {model} was never deployed; `homeostat deploy` does"
                )
            past = History(
                version,
                bool(owner and owner.directory),
                trained_at,
                counted,
                runs,
                verdicts,
                listens=self._deps.settings.listen,
            )
            return decide(accepted, spec, past, now)

        done = self._ledger.record_cause(
            cause, version=version, event_time=now, now=self._deps.clock(), owner=owner, decide=policy
        )
        if cause.verdict is not None:
            self._judged(cause.verdict)
        if not done.new:
            self._metrics.repeats.labels(model).inc()
            return done
        self._metrics.decisions.labels(model, done.decision.action, done.decision.reason_code).inc()
        _log.info(
            "decided",
            cause_id=done.cause_key,
            model=model,
            action=done.decision.action,
            reason_code=done.decision.reason_code,
            reason=done.decision.reason,
            run_id=done.run_id,
            event_time=now.isoformat(),
        )
        if done.decision.action == "retrain":
            self._wake()
        return done

    def deploy(self, model: str, version: str, directory: str, actor: str) -> tuple[Release, bool]:
        """Release a version that is in the store, and remember its project. The release, and whether it is new.

        1. every byte is what was signed   2. the project is the model's   3. record the project
        4. release, unless it is served already
        """
        manifest = self._deps.store.manifest(model, version)
        if manifest.model != model:
            raise InvalidRequest(
                f"version {short(version)} is of model {manifest.model}",
                field="version",
                expected=f"one of {model}",
            )
        self._pipeline.verify_stored(model, version)
        if directory:
            if not Path(directory).is_absolute():
                raise InvalidRequest(
                    "project_directory is not absolute",
                    field="project_directory",
                    expected="an absolute path",
                )
            found = read_loop_spec(Path(directory))
            if found.model != model:
                raise InvalidRequest(
                    f"the project {directory} is of model {found.model}",
                    field="project_directory",
                    expected=f"a project of {model}",
                )
        known = self._ledger.project(model)
        self._ledger.record_project(
            model,
            directory or (known.directory if known else ""),
            manifest.loop,
            version,
            actor,
            self._deps.clock(),
        )
        served = self._deps.store.latest_release(model)
        if served is not None and served.version == version:
            return served, False
        return self._deps.releaser.deploy(model, version, actor), True

    def rollback(
        self,
        model: str,
        actor: str,
        reason: str,
        to_generation: int | None,
        expected_generation: int | None = None,
    ) -> Release:
        """Put an earlier version back. Raises NotFound, Conflict, IntegrityError; then nothing has changed.

        With `expected_generation`, the one its caller saw being served, a second try after a lost reply is a Conflict and not
        a second step back.
        """
        return self._deps.releaser.roll_back(
            model, actor, reason, to_generation, expected_generation, self._pipeline.verify_stored
        )

    def approve(self, run_id: str, actor: str) -> Run:
        """Start a suggested run, or promote a proven one. Raises Conflict, NotFound."""
        waiting = self._ledger.run(run_id)
        now = self._event_time(None, waiting.model)

        def objection(others: tuple[PastRun, ...]) -> str:
            refusal = may_start(others, waiting.loop.retraining.budget, now)
            return "" if refusal is None else refusal[1]

        answered = self._ledger.answer(
            run_id, answer="yes", actor=actor, now=self._deps.clock(), event_time=now, objection=objection
        )
        _log.info("approved", run_id=run_id, model=answered.model, actor=actor, state=answered.state)
        self._wake()
        return answered

    def reject(self, run_id: str, actor: str) -> Run:
        """Say no to a run that waits. Raises Conflict, NotFound."""
        answered = self._ledger.answer(run_id, answer="no", actor=actor, now=self._deps.clock())
        self._metrics.count_end(answered.model, answered.state, answered.created_at, answered.ended_at)
        _log.info("rejected", run_id=run_id, model=answered.model, actor=actor)
        return answered

    def acknowledge(
        self, cause_key: str, actor: str, note: str, older: BulkAcknowledgement | None = None
    ) -> dict[str, Any]:
        """Record that a person has seen the decision about a cause, and `older` ones; the first word stands.

        Raises NotFound, Conflict.
        """
        seen = self._ledger.acknowledge(
            cause_key, actor=actor, note=note, now=self._deps.clock(), older=older
        )
        _log.info("acknowledged", cause_id=cause_key, actor=seen["actor"], older=seen["acknowledged_older"])
        return seen

    def sync_releases(self) -> None:
        """Bring the ledger's copy of the release logs up to date: a crash may have come between log and ledger."""
        self._deps.releaser.record_releases()

    def _event_time(self, cause: Cause | None, model: str = "") -> datetime:
        """Now, as the data tells it: the cause's time, else the lake's newest row, else the newest verdict, else the clock.

        Never later than the clock, but for a time the cause names: a run booked in the future would end all schedules.
        """
        if cause is not None and cause.event_time is not None:
            return cause.event_time
        name = cause.model if cause is not None else model
        try:
            watermark = self._deps.lake.watermark(name)
        except DependencyUnavailable as error:
            _log.warning("lake_unavailable", model=name, problem=str(error))
            watermark = None
        clock = self._deps.clock()
        return min(watermark or self._ledger.event_time(name) or clock, clock)

    def _trained_at(self, model: str, version: str) -> datetime | None:
        """Event time at which a version was made: its run's, else its last training row, else its first evaluated window."""
        known = self._trained_at_cache.get((model, version))
        if known is not None:
            return known
        runs = self._ledger.runs_of_version(version)
        if runs:
            trained_at: datetime | None = runs[0].event_time
        else:
            until = self._deps.store.manifest(model, version).origin.trained_until
            trained_at = datetime.fromisoformat(until) if until else None
        if trained_at is None:
            return self._ledger.first_window(model, version)
        self._trained_at_cache[model, version] = trained_at
        return trained_at

    def _rows_since(self, model: str, spec: LoopSpec, trained_at: datetime | None) -> int | None:
        """Predictions whose outcome was observed after the last training; None where no trigger asks or the lake is away."""
        if not any(isinstance(trigger, NewRowsTrigger) for trigger in spec.retraining.triggers):
            return None
        moments = [run.event_time for run in self._ledger.past_runs(model) if run.counts]
        since = max([*moments, *([trained_at] if trained_at else [])], default=None)
        try:
            return self._deps.lake.count_observed(model, since)
        except DependencyUnavailable as error:
            _log.warning("lake_unavailable", model=model, problem=str(error))
            return None
