"""Decides the shadow policies of a model beside the armed one: each cause once, in the ledger, and nothing is started.

A shadow policy sees the verdicts that were reached on what was served, as the armed one does, and the runs that it would have
started itself. It is decided as with `automation: auto`. Its schedules count from its own last run, or from the version that was
served when it began.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from hashlib import sha256

import orjson

from services.retraining.cause import Cause
from services.retraining.dependencies import Dependencies
from services.retraining.histories import Histories, ServedModel
from services.retraining.ledger.shadow_policies.decisions import ShadowDecision
from services.retraining.policy.decide import decide
from services.retraining.policy.decision import History, PastVerdict
from services.retraining.policy.live_costs import (
    MeasuredBlock,
    MeasuredRelease,
    PolicyCost,
    live_costs,
)
from shared.contracts.loop_spec import LoopSpec
from shared.contracts.policies.shadow_policy import ARMED, ShadowPolicy, retraining_of
from shared.contracts.retraining_spec import Costs
from shared.errors import DependencyUnavailable
from shared.observability.logs import get_logger, log_unknown_error

_log = get_logger(__name__)


def with_shadow(loop: LoopSpec, policy: ShadowPolicy) -> LoopSpec:
    """loop.yaml with the shadow policy in place of the armed one."""
    armed = loop.require_performance().retraining
    return loop.model_copy(
        update={"retraining": retraining_of(policy, armed), "automation": "auto", "shadow_policies": ()}
    )


def digest_of(loop: LoopSpec) -> str:
    """Names the values of a policy: with other values its history begins anew."""
    keys = {"triggers", "cooldown", "budget", "window", "minimum_rows"}
    document = loop.require_performance().retraining.model_dump(mode="json", include=keys)
    return sha256(orjson.dumps(document, option=orjson.OPT_SORT_KEYS)).hexdigest()


class ShadowPolicies:
    """Decides and counts. Safe to call from several threads and processes."""

    def __init__(self, deps: Dependencies, histories: Histories) -> None:
        self._deps = deps
        self._histories = histories

    def decide(self, cause: Cause, found: ServedModel, now: datetime) -> None:
        """Decide every shadow policy of the model on a cause that the armed one has decided on; a repetition changes nothing.

        A request and an alert concern the armed policy alone: a person asks for one run, whatever the policy is. An unknown error
        is logged: what starts nothing must stop nothing. Raises DependencyUnavailable: the cause comes again.
        """
        if found.loop.performance is None or cause.source in ("request", "alert"):
            return
        for policy in found.loop.shadow_policies:
            try:
                self._decide(cause, found, policy, now)
            except DependencyUnavailable:
                raise
            except Exception as error:
                error_id = log_unknown_error(_log, error)
                _log.warning("shadow_policy_failed", model=found.model, policy=policy.name, error_id=error_id)

    def _decide(self, cause: Cause, found: ServedModel, policy: ShadowPolicy, now: datetime) -> None:
        loop = with_shadow(found.loop, policy)
        digest = digest_of(loop)
        made = decide(cause, loop, self._history(cause, found, loop, policy.name, digest), now)
        self._deps.ledger.shadow_decisions.record(
            ShadowDecision(cause.key, found.model, policy.name, digest, found.version, made, now),
            self._deps.clock(),
        )

    def _history(self, cause: Cause, found: ServedModel, loop: LoopSpec, policy: str, digest: str) -> History:
        past = self._deps.ledger.shadow_decisions.past(found.model, policy, digest)
        begun = past.first_version or found.version
        trained_at = self._histories.trained_at(found.model, begun) if begun else None
        _, verdicts = self._deps.ledger.past(found.model, found.version)
        times = [run.event_time for run in past.runs]
        since = max([*times, *([trained_at] if trained_at else [])], default=None)
        return replace(
            History(found.version, True, trained_at, consumes_verdicts=self._deps.settings.listen),
            rows_since=self._histories.rows_observed(loop, since),
            runs=past.runs,
            verdicts=tuple(one for one in verdicts if not _is_about(cause, one)),
            newest_is_faulty=self._deps.ledger.verdict_log.newest_is_faulty(found.model),
        )

    def costs_by_model(self) -> dict[str, list[PolicyCost]]:
        """`costs` of every model that has shadow policies."""
        return {model: found for model in self._deps.ledger.models() if (found := self.costs(model))}

    def costs(self, model: str) -> list[PolicyCost]:
        """What the armed policy and each shadow policy have cost since all of them are decided; empty without shadow policies."""
        project = self._deps.ledger.project(model)
        if project is None or not project.loop.shadow_policies or project.loop.performance is None:
            return []
        pasts = [
            (policy.name, self._deps.ledger.shadow_decisions.past(model, policy.name, digest_of(loop)))
            for policy in project.loop.shadow_policies
            for loop in [with_shadow(project.loop, policy)]
        ]
        begun = [past.since for _, past in pasts if past.since is not None]
        if len(begun) < len(pasts):
            return []
        since = max(begun)
        armed = [
            run.event_time
            for run in self._deps.ledger.past(model)[0]
            if run.counts and run.event_time >= since
        ]
        runs = [(ARMED, armed)]
        runs += [
            (name, [run.event_time for run in past.runs if run.event_time >= since]) for name, past in pasts
        ]
        return live_costs(project.loop.costs or Costs(), runs, self._releases(model, since))

    def _releases(self, model: str, since: datetime) -> list[MeasuredRelease]:
        """The watched promotions of runs since then."""
        found: list[MeasuredRelease] = []
        before: datetime | None = None
        for watch in self._deps.ledger.watches.of_model(model):
            if watch.release_reason != "promotion" or not watch.run_id:
                continue
            run_at = self._deps.ledger.run(watch.run_id).event_time
            if run_at < since:
                before = run_at
                continue
            blocks = tuple(
                MeasuredBlock(block.start, block.rows, block.loss, block.former_loss)
                for block in watch.blocks
            )
            found.append(MeasuredRelease(run_at, before, blocks))
            before = run_at
        return found


def _is_about(cause: Cause, past: PastVerdict) -> bool:
    """Whether that is the verdict of the cause, which the ledger has already."""
    verdict = cause.verdict
    return verdict is not None and (verdict.detector, verdict.window_start, verdict.window_end) == (
        past.detector,
        past.window_start,
        past.window_end,
    )
