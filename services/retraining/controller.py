"""Decides on causes, deploys, rolls back, approves and acknowledges. The Kafka consumer and the HTTP routes both call it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from services.retraining.cause import Cause
from services.retraining.dependencies import Dependencies
from services.retraining.launchers.project_folder import check_project_folder, trusted_roots
from services.retraining.ledger.acknowledgements import BulkAcknowledgement
from services.retraining.ledger.ledger import Ledger
from services.retraining.ledger.records import Recorded, Run
from services.retraining.metrics import UNKNOWN_MODEL, RetrainingMetrics
from services.retraining.policy.decide import decide
from services.retraining.policy.decision import Decision, History, PastRun, PastVerdict
from services.retraining.policy.limits import may_start
from services.retraining.runs.pipeline import Pipeline
from shared.contracts.lake_schema import FEATURE_TYPES, check_columns
from shared.contracts.loop_spec import LoopSpec
from shared.contracts.loop_yaml import read_loop_spec
from shared.contracts.manifest import Manifest, short
from shared.contracts.release import Release
from shared.contracts.retraining_spec import NewRowsTrigger
from shared.contracts.verdict import Verdict
from shared.errors import DependencyUnavailable, InvalidRequest, ProjectError
from shared.observability.logs import get_logger
from shared.stores.lake_statistics import count_observed

_log = get_logger(__name__)


class Controller:
    """Decides on causes and updates ledger and release log. Safe to call from several threads and processes at once."""

    def __init__(
        self,
        deps: Dependencies,
        pipeline: Pipeline,
        wake: Callable[[], None],
        on_verdict: Callable[[Verdict], None] = lambda _: None,
    ) -> None:
        """`wake` makes the scheduler poll now; `on_verdict` receives every verdict after its decision and must return at once."""
        self._deps = deps
        self._pipeline = pipeline
        self._wake = wake
        self._on_verdict = on_verdict
        self._ledger: Ledger = deps.ledger
        self._metrics: RetrainingMetrics = deps.metrics
        self._trained_at_cache: dict[tuple[str, str], datetime] = {}

    def handle_cause(self, cause: Cause) -> Recorded:
        """Record a cause and decide on it once; a repeated delivery returns the first decision. Raises DependencyUnavailable.

        1. read the served version and the history that is not in the ledger   2. decide and write, in one transaction
        3. wake the scheduler; if the process dies before that, the next poll finds the run in the ledger
        """
        model = cause.model
        owner = self._ledger.project(model)
        served = self._deps.store.latest_release(model)
        spec = (
            owner.loop
            if owner
            else (self._deps.store.manifest(model, served.version).loop if served else None)
        )
        if spec is None:
            return self._unknown_model(cause)
        now = self._event_time(cause)
        version = served.version if served else ""
        trained_at = self._trained_at(model, version) if version else None
        counted = self._rows_since(model, spec, trained_at) if version else None

        def policy(accepted: Cause, runs: tuple[PastRun, ...], verdicts: tuple[PastVerdict, ...]) -> Decision:
            past = History(
                version,
                bool(owner and owner.directory),
                trained_at,
                counted,
                runs,
                verdicts,
                consumes_verdicts=self._deps.settings.listen,
            )
            return decide(accepted, spec, past, now)

        done = self._ledger.record_cause(
            cause, version=version, event_time=now, now=self._deps.clock(), owner=owner, decide=policy
        )
        if cause.verdict is not None:
            self._on_verdict(cause.verdict)
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

    def _unknown_model(self, cause: Cause) -> Recorded:
        """The decision on a cause of a model that was never deployed. It is not in the ledger: anybody can name such models."""
        reason = f"model {cause.model} has not been deployed, so this is not recorded; run `homeostat deploy`"
        decision = Decision("wait", "no_project", reason)
        self._metrics.decisions.labels(UNKNOWN_MODEL, decision.action, decision.reason_code).inc()
        _log.info("cause_of_unknown_model", cause_id=cause.key, model=cause.model, source=cause.source)
        return Recorded(cause.key, decision, "", new=False)

    def deploy(self, model: str, version: str, directory: str, actor: str) -> tuple[Release, bool]:
        """Release a stored version and record its project; returns the release and whether it is new.

        1. verify signature and digests   2. check that the lake can hold the features
        3. check that nobody else can change the project, and that it belongs to the model   4. record the project
        5. release, unless the version is served already
        """
        manifest = self._deps.store.manifest(model, version)
        if manifest.model != model:
            raise InvalidRequest(
                f"version {short(version)} belongs to model {manifest.model}",
                field="version",
                expected=f"a version of {model}",
            )
        self._pipeline.verify_stored(model, version)
        served = self._deps.store.latest_release(model)
        self._check_columns(manifest, served)
        if directory:
            if not Path(directory).is_absolute():
                raise InvalidRequest(
                    "project_directory is not an absolute path",
                    field="project_directory",
                    expected="an absolute path",
                )
            directory = str(self._check_folder(Path(directory)))
            found = read_loop_spec(Path(directory))
            if found.model != model:
                raise InvalidRequest(
                    f"the project {directory} belongs to model {found.model}",
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
        if served is not None and served.version == version:
            return served, False
        return self._deps.releaser.deploy(model, version, actor), True

    def _check_folder(self, directory: Path) -> Path:
        """The folder without links. Raises InvalidRequest where others could change the training command."""
        try:
            return check_project_folder(directory, trusted_roots(self._deps.settings.project_roots))
        except ProjectError as error:
            raise InvalidRequest(
                error.message,
                field="project_directory",
                expected="a folder that only the user of retraining can change",
                hint=error.hint,
            ) from error

    def rollback(
        self,
        model: str,
        actor: str,
        reason: str,
        to_generation: int | None,
        expected_generation: int | None = None,
    ) -> Release:
        """Restore an earlier version. Raises NotFound, Conflict, IntegrityError; then nothing has changed.

        `expected_generation` is the generation the caller saw as served: with it, a retry after a lost response raises Conflict
        instead of rolling back twice.
        """
        return self._deps.releaser.roll_back(
            model, actor, reason, to_generation, expected_generation, self._pipeline.verify_stored
        )

    def approve(self, run_id: str, actor: str, *, may_be_own: bool) -> Run:
        """Start a suggested run, or promote a run that passed the gate. `may_be_own`: also one that the actor requested.

        Raises Conflict, NotFound, NotPermitted.
        """
        waiting = self._ledger.run(run_id)
        now = self._event_time(None, waiting.model)

        def objection(others: tuple[PastRun, ...]) -> str:
            refusal = may_start(others, waiting.loop.require_performance().retraining.budget, now)
            return "" if refusal is None else refusal[1]

        answered = self._ledger.answer(
            run_id,
            answer="yes",
            actor=actor,
            now=self._deps.clock(),
            event_time=now,
            objection=objection,
            may_be_own=may_be_own,
        )
        _log.info("approved", run_id=run_id, model=answered.model, actor=actor, state=answered.state)
        self._wake()
        return answered

    def reject(self, run_id: str, actor: str) -> Run:
        """Reject a run that waits for approval. Raises Conflict, NotFound."""
        answered = self._ledger.answer(run_id, answer="no", actor=actor, now=self._deps.clock())
        self._metrics.count_end(answered.model, answered.state, answered.created_at, answered.ended_at)
        _log.info("rejected", run_id=run_id, model=answered.model, actor=actor)
        return answered

    def acknowledge(
        self, cause_key: str, actor: str, note: str, older: BulkAcknowledgement | None = None
    ) -> dict[str, Any]:
        """Record that a person has seen a decision, and the `older` ones; the first acknowledgement counts.

        Raises NotFound, Conflict.
        """
        seen = self._ledger.acknowledge(
            cause_key, actor=actor, note=note, now=self._deps.clock(), older=older
        )
        _log.info("acknowledged", cause_id=cause_key, actor=seen["actor"], older=seen["acknowledged_older"])
        return seen

    def sync_releases(self) -> None:
        """Copy missing releases to the ledger: a crash may have happened after the release log was written."""
        self._deps.releaser.record_releases()

    def _event_time(self, cause: Cause | None, model: str = "") -> datetime:
        """The current event time: the cause's, else the lake's watermark, else the newest verdict's, else the clock's.

        Never later than the clock, except for a time that the cause gives: a run in the future would stop all schedules.
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

    def _check_columns(self, manifest: Manifest, served: Release | None) -> None:
        """Raises UnservableModel where the lake could not hold the version's rows: a feature has changed its type.

        Rows of the served version may be on their way to the lake, so its features count as well as the lake's columns.
        """
        before = self._deps.store.manifest(manifest.model, served.version).features if served else ()
        known = {feature.name: FEATURE_TYPES[feature.type] for feature in before}
        check_columns(manifest.features, known | self._deps.lake.feature_types(manifest.model))

    def _trained_at(self, model: str, version: str) -> datetime | None:
        """Event time at which a version was trained: from its run, else its last training row, else its first window."""
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
        """Number of outcomes observed since the last training; None if no trigger needs it or the lake is unavailable."""
        triggers = spec.performance.retraining.triggers if spec.performance else ()
        if not any(isinstance(trigger, NewRowsTrigger) for trigger in triggers):
            return None
        run_times = [run.event_time for run in self._ledger.past_runs(model) if run.counts]
        since = max([*run_times, *([trained_at] if trained_at else [])], default=None)
        try:
            return count_observed(self._deps.lake, model, since)
        except DependencyUnavailable as error:
            _log.warning("lake_unavailable", model=model, problem=str(error))
            return None
