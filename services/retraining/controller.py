"""Decides on causes, deploys, rolls back, approves and acknowledges. The Kafka consumer and the HTTP routes both call it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from services.retraining.cause import Cause
from services.retraining.dependencies import Dependencies
from services.retraining.deployments.deployment import (
    Deployed,
    DeploymentRequest,
    deploy,
    record_unfinished,
    start,
)
from services.retraining.histories import Histories
from services.retraining.ledger.acknowledgements import BulkAcknowledgement
from services.retraining.ledger.approvals.answering import Authority
from services.retraining.ledger.ledger import Ledger
from services.retraining.ledger.records import Recorded, Run
from services.retraining.metrics import UNKNOWN_MODEL, RetrainingMetrics
from services.retraining.policy.decide import decide
from services.retraining.policy.decision import Decision, PastRun, PastVerdict
from services.retraining.policy.limits import may_start
from services.retraining.rollout.releaser import SideSlot
from services.retraining.runs.pipeline import Pipeline
from services.retraining.shadow_policies import ShadowPolicies
from shared.contracts.release import Release
from shared.contracts.verdict import Verdict
from shared.errors import NotFound
from shared.observability.logs import get_logger

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
        self._histories = Histories(deps)
        self._shadows = ShadowPolicies(deps, self._histories)

    def handle_cause(self, cause: Cause) -> Recorded:
        """Record a cause and decide on it once; a repeated delivery returns the first decision. Raises DependencyUnavailable.

        1. read the served version and the history that is not in the ledger   2. decide and write, in one transaction
        3. wake the scheduler; if the process dies before that, the next poll finds the run in the ledger
        """
        model = cause.model
        found = self._histories.served_model(model)
        if found is None:
            return self._unknown_model(cause)
        now = cause.event_time or self._histories.event_time(model)
        past = self._histories.without_ledger(found)

        def policy(accepted: Cause, runs: tuple[PastRun, ...], verdicts: tuple[PastVerdict, ...]) -> Decision:
            return decide(accepted, found.loop, replace(past, runs=runs, verdicts=verdicts), now)

        done = self._ledger.record_cause(
            cause,
            version=found.version,
            event_time=now,
            now=self._deps.clock(),
            owner=found.project,
            decide=policy,
        )
        self._shadows.decide(replace(cause, key=done.cause_key), found, now)
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

    def deploy(self, model: str, version: str, directory: str, actor: str, force: str = "") -> Deployed:
        """Release a stored version and record its project; see `deployments.deployment.deploy`."""
        request = DeploymentRequest(model, version, directory, actor, force)
        return deploy(self._deps, self._pipeline.verify_stored, request)

    def start(self, model: str, slot: SideSlot, version: str, share: float, actor: str) -> Deployed:
        """Serve a stored version beside the live one; see `deployments.deployment.start`."""
        return start(self._deps, self._pipeline.verify_stored, model, slot, version, share, actor)

    def rollback(
        self,
        model: str,
        actor: str,
        reason: str,
        to_generation: int | None,
        expected_generation: int | None = None,
        slot: SideSlot | None = None,
    ) -> Release:
        """Restore an earlier version, or end `slot`. Raises NotFound, Conflict, IntegrityError; then nothing has changed.

        `expected_generation` is the newest generation that the caller saw: with it, a retry after a lost response raises Conflict
        instead of rolling back twice.
        """
        if slot is not None:
            ended = self._deps.releaser.withdraw(model, slot, actor=actor, note=reason)
            if ended is None:
                raise NotFound(
                    f"{model} has no {slot}", hint=f"`homeostat releases {model}` shows what is served"
                )
            return ended
        return self._deps.releaser.roll_back(
            model, actor, reason, to_generation, expected_generation, self._pipeline.verify_stored
        )

    def approve(self, run_id: str, actor: str, authority: Authority) -> Run:
        """Start a suggested run, or promote a run that passed the gate. Raises Conflict, NotFound, NotPermitted."""
        waiting = self._ledger.run(run_id)
        now = self._histories.event_time(waiting.model)

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
            authority=authority,
        )
        _log.info("approved", run_id=run_id, model=answered.model, actor=actor, state=answered.state)
        self._wake()
        return answered

    def reject(self, run_id: str, actor: str, authority: Authority) -> Run:
        """Reject a run that waits for approval. Raises Conflict, NotFound, NotPermitted."""
        answered = self._ledger.answer(
            run_id, answer="no", actor=actor, now=self._deps.clock(), authority=authority
        )
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
        """Copy missing releases and projects to the ledger: a crash may have happened after the release log was written."""
        self._deps.releaser.record_releases()
        record_unfinished(self._deps)
