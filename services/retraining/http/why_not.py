"""Why nothing started, or was promoted: each trigger with its distance, the limits, open runs and missing rows."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from services.retraining.cause import Cause
from services.retraining.histories import Histories, ServedModel
from services.retraining.http.lineage import describe_run, without_measures
from services.retraining.ledger.ledger import Ledger
from services.retraining.policy.decide import decide
from services.retraining.policy.decision import History
from services.retraining.policy.distance import TriggerDistance, distance_of
from services.retraining.policy.limits import cooling_until, counted_times, may_start
from services.retraining.run_states import ENDS
from shared.contracts.loop_spec import LoopSpec
from shared.contracts.retraining_spec import WorseThanFirstTrigger
from shared.errors import DependencyUnavailable, NotFound
from shared.stores.lake import Lake
from shared.stores.lake_statistics import count_observed
from shared.stores.model_store import ModelStore


def why_not(
    ledger: Ledger, store: ModelStore, lake: Lake, histories: Histories, model: str
) -> dict[str, Any]:
    """What keeps the policy from a run at the current event time, by its own code. Raises NotFound, DependencyUnavailable.

    `next_decision`: what the newest verdict on the served version would give now; null without one. `improvable`: versions that
    were served before and lose less on the same rows, also where no verdict finds the served one worse than at its reference.
    """
    found = histories.served_model(model)
    if found is None:
        raise NotFound(f"model {model} has not been deployed", hint="run `homeostat deploy`")
    now, history = histories.event_time(model), histories.complete(found)
    newest = ledger.verdict_log.newest(model, found.version)
    verdict = max(newest.values(), key=lambda one: one.window_end, default=None)
    decision = None if verdict is None else decide(Cause.of_verdict(verdict), found.loop, history, now)
    compared = [one for one in ledger.first_comparisons.current() if one.model == model]
    last = ledger.decisions(model, limit=1)
    runs = ledger.runs(model, limit=1)
    performance = found.loop.performance
    triggers = performance.retraining.triggers if performance else ()
    return {
        "model": model,
        "version": found.version,
        "automation": found.loop.automation,
        "event_time": now,
        "next_decision": None
        if decision is None or verdict is None
        else {
            "verdict_id": verdict.verdict_id,
            "state": verdict.state,
            "action": decision.action,
            "reason_code": decision.reason_code,
            "reason": decision.reason,
        },
        "triggers": [
            _described(
                distance_of(one, found.loop, newest, history, now), _evidence(ledger, store, found, one)
            )
            for one in triggers
        ],
        "improvable": [better.to_json() for one in compared for better in one.improvements],
        "limits": _limits(found.loop, history, now),
        "rows": _rows(lake, found.loop),
        "last_decision": last[0] if last else None,
        "last_run": without_measures(describe_run(runs[0])) if runs else None,
        "not_promoted": _not_promoted(ledger, runs[0]) if runs else "",
    }


def _described(one: TriggerDistance, evidence: dict[str, Any]) -> dict[str, Any]:
    return {
        "trigger": one.trigger.model_dump(mode="json"),
        "fires": one.result.fires,
        "reason": one.result.reason,
        "distance": {**one.distance, **evidence},
    }


def _evidence(ledger: Ledger, store: ModelStore, found: ServedModel, trigger: object) -> dict[str, Any]:
    """Of a trigger `worse_than_first`: the share of the evidence that an alarm needs."""
    served = store.live_release(found.model) if isinstance(trigger, WorseThanFirstTrigger) else None
    known = None if served is None else ledger.first_comparisons.find(found.model, served.generation)
    return {} if known is None else {"share_of_threshold": known.evidence_ratio}


def _limits(loop: LoopSpec, history: History, now: datetime) -> dict[str, Any]:
    performance = loop.performance
    if performance is None:
        return {}
    policy = performance.retraining
    refusal = may_start(history.runs, policy.budget, now)
    counted = counted_times(history.runs)
    budget = policy.budget
    return {
        "refusal": refusal[1] if refusal else "",
        "cooling_until": cooling_until(counted, policy.cooldown, now),
        "budget": None
        if budget is None
        else {
            "runs": budget.runs,
            "per_seconds": budget.per.total_seconds(),
            "used": sum(now - budget.per < time <= now for time in counted),
        },
        "suggested_runs": [run.run_id for run in history.runs if run.open and run.suggested],
        "open_runs": [run.run_id for run in history.runs if run.open and not run.suggested],
    }


def _rows(lake: Lake, loop: LoopSpec) -> dict[str, Any]:
    """Rows with outcomes in the lake, and how many a run needs for training and holdout; `with_outcomes` null if not counted."""
    performance = loop.performance
    if performance is None:
        return {}
    try:
        counted: int | None = count_observed(lake, loop.model, None, excluded_senders=loop.excluded_senders)
    except DependencyUnavailable:
        counted = None
    required = performance.retraining.minimum_rows + performance.gate.minimum_rows
    missing = None if counted is None else max(0, required - counted)
    return {"with_outcomes": counted, "required": required, "missing": missing}


def _not_promoted(ledger: Ledger, run: Any) -> str:
    """Why the newest run was not promoted, or is not yet; empty if it was."""
    if run.state == "promoted":
        return ""
    phases = [one for one in ledger.phases.of_run(run.run_id) if one.outcome == ""]
    if phases:
        return f"run {run.run_id} is tried as {phases[0].slot} until its duration is over"
    ended = run.state in ENDS
    return f"run {run.run_id} {'ended as' if ended else 'is'} {run.state}: {run.reason}"
