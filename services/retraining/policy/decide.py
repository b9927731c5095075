"""Turns a cause into a decision with a reason. Pure: history and time are arguments."""

from __future__ import annotations

from datetime import datetime

from services.retraining.cause import UNCLEAR, Cause
from services.retraining.policy.decision import AWAITED, Decision, History
from services.retraining.policy.limits import (
    cooling_until,
    counted_times,
    may_start,
    run_of_window,
    same_incident,
)
from services.retraining.policy.triggers import TriggerResult, evaluate_trigger
from shared.contracts.loop_spec import LoopSpec
from shared.contracts.retraining_spec import (
    NewRowsTrigger,
    Retraining,
    ScheduleTrigger,
    WorseThanFirstTrigger,
)

_SILENT = {
    "data_fault": ("bad_data", "the data is faulty; faulty data never starts a retraining"),
    "insufficient_data": ("insufficient_data", "too few rows to evaluate"),
    "warming_up": ("warming_up", "there is no complete window or reference yet"),
}


def decide(cause: Cause, spec: LoopSpec, history: History, now: datetime) -> Decision:
    """Decide on `cause`. `now` is event time: the verdict's window end, or the newest row in the lake.

    1. no version served, no training command, or a resolved alert: wait
    2. an alert about a verdict: wait for the verdict; if the alert does not say which one, do nothing. If this service does not
       consume verdicts, decide on the alert's annotations, which must contain the verdict's state and version
    3. a verdict of data_fault, insufficient_data or warming_up never retrains, whatever the triggers are
       the same for a due schedule if the newest window has a data_fault, also one about a version that was replaced since
    4. a verdict about a version that is no longer served: wait
    5. a model without a loss: record only, since no gate could prove a new version better
    6. evaluate the triggers in the order of loop.yaml; a person's request and an alert are triggers of their own. If none
       fires: `healthy` if the verdict is ok, `no_trigger` if it is drift. A comparison fires `worse_than_first` alone, and the
       clock the triggers `schedule` and `new_rows`
    7. a run in progress, a suggested run that waits for a person, a run about the same change, or, of a revised verdict, a run
       that began in its window or later: wait
    8. cooldown (does not apply to a person's request), then budget (applies to all)
    9. the automation level: start the run, suggest it, or only record the decision
    """
    if not history.version:
        return _wait("no_project", f"model {cause.model} has not been deployed; run `homeostat deploy`")
    if cause.resolved:
        return _wait("resolved", f"the alert is resolved, nothing to do: {cause.reason}")
    if cause.about == UNCLEAR:
        return _wait("verdict_unclear", f"the alert names no verdict on {cause.model}: {cause.reason}")
    if cause.about is not None and history.consumes_verdicts:
        return _wait(AWAITED, f"waiting for the verdict that the alert names: {cause.reason}")
    verdict = cause.verdict
    state, version, words = cause.about_state, cause.about_version, cause.reason
    if verdict is not None:
        state, version, words = verdict.state, verdict.version, verdict.explanation
    elif cause.about is not None and not (state and version):
        return _wait("verdict_unclear", f"the alert has no verdict annotations: {cause.reason}")
    if state in _SILENT:
        code, why = _SILENT[state]
        return _wait(code, f"{why}: {words}" if words else why)
    if cause.source == "schedule" and history.newest_is_faulty:
        return _wait("bad_data", "the newest window is faulty; faulty data never starts a retraining")
    if version and version != history.version:
        return _wait("version_replaced", f"the verdict is about {version[:12]}, which is no longer served")

    if spec.performance is None:
        if state == "ok":
            return _wait("healthy", words)
        without = f"predictions of kind {spec.prediction.kind} have no loss, so no gate can compare versions"
        return _wait(
            "observe_only", f"{without}; deploy new versions yourself{f': {words}' if words else ''}"
        )
    policy = spec.performance.retraining
    result = _evaluate_triggers(cause, spec, policy, history, now)
    if not result.fires:
        return _wait("healthy" if state == "ok" else "no_trigger", result.reason)
    throttled = _throttled(cause, policy, history, now)
    if throttled is not None:
        return Decision(
            "wait",
            throttled.reason_code,
            f"{throttled.reason}; requested by trigger {result.reason_code}: {result.reason}",
        )
    if not history.project:
        return _wait(
            "no_project",
            f"no project folder is recorded for {cause.model}; deploy it again with `homeostat deploy PROJECT` ({result.reason})",
        )
    if spec.automation == "observe":
        return _wait("observe_only", f"automation is observe; would retrain: {result.reason}")
    # A person who requests a run has already approved its start.
    if spec.automation == "suggest" and cause.source != "request":
        return Decision("suggest", result.reason_code, result.reason, result.change_since)
    return Decision("retrain", result.reason_code, result.reason, result.change_since)


def _evaluate_triggers(
    cause: Cause, spec: LoopSpec, policy: Retraining, history: History, now: datetime
) -> TriggerResult:
    if cause.source == "request":
        return TriggerResult(True, "request", f"requested by {cause.actor}: {cause.reason}")
    if cause.source == "alert":
        return TriggerResult(True, "alert", cause.reason)
    if cause.source == "comparison":
        listed = any(isinstance(trigger, WorseThanFirstTrigger) for trigger in policy.triggers)
        missing = "" if listed else ", but loop.yaml has no trigger worse_than_first"
        return TriggerResult(listed, "worse_than_first", cause.reason + missing, cause.change_since)
    triggers = policy.triggers
    if cause.source == "schedule":
        triggers = tuple(one for one in triggers if isinstance(one, (ScheduleTrigger, NewRowsTrigger)))
    results = [evaluate_trigger(trigger, spec, cause.verdict, history, now) for trigger in triggers]
    for result in results:
        if result.fires:
            return result
    if not results:
        return TriggerResult(False, "drift", f"{_found(cause)}retraining.triggers in loop.yaml is empty")
    # Once per trigger: several may have the same name, such as drift of features and drift of performance.
    whys = "; ".join(
        f"{trigger.when} ({result.reason})" for trigger, result in zip(triggers, results, strict=True)
    )
    return TriggerResult(False, "drift", f"{_found(cause)}no trigger of loop.yaml fired: {whys}")


def _found(cause: Cause) -> str:
    """The drift that no trigger reacts to; empty for a verdict `ok`."""
    verdict = cause.verdict
    if verdict is None or verdict.state != "drift":
        return ""
    return f"drift of {', '.join(verdict.drifted)}, but " if verdict.drifted else "drift, but "


def _throttled(cause: Cause, policy: Retraining, history: History, now: datetime) -> Decision | None:
    """The limit that prevents a run; None if there is none."""
    refusal = may_start(history.runs, policy.budget, now)
    if refusal is not None and refusal[0] == "run_in_progress":
        return _wait(*refusal)
    if cause.source != "request":
        for run in history.runs:
            if run.open and run.suggested:
                return _wait("suggestion_open", f"run {run.run_id} is already suggested")
        acted = same_incident(history.runs, cause.verdict) if cause.verdict is not None else None
        if acted is not None:
            return _wait(
                "same_incident",
                f"run {acted.run_id} followed the {acted.detector} verdict on the same change",
            )
        began = run_of_window(history.runs, cause.verdict) if cause.verdict is not None else None
        if began is not None:
            return _wait(
                "same_incident", f"run {began.run_id} had the rows of this window, whose verdict was revised"
            )
        until = cooling_until(counted_times(history.runs), policy.cooldown, now)
        if until is not None:
            return _wait("cooling_down", f"cooling down until {until:%Y-%m-%d %H:%M}")
    return None if refusal is None else _wait(*refusal)


def _wait(reason_code: str, reason: str) -> Decision:
    return Decision("wait", reason_code, reason)  # type: ignore[arg-type]
