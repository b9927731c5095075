"""The triggers: each evaluates a verdict and the history, and returns whether it fires and why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.retraining.policy.decision import History, ReasonCode
from shared.contracts.loop_spec import LoopSpec
from shared.contracts.retraining_spec import (
    DriftTrigger,
    FloorTrigger,
    NewRowsTrigger,
    ScheduleTrigger,
    Trigger,
)
from shared.contracts.verdict import Verdict


@dataclass(frozen=True)
class TriggerResult:
    """Whether a trigger fires, and why."""

    fires: bool
    reason_code: ReasonCode
    reason: str
    change_since: datetime | None = None


def evaluate_trigger(
    trigger: Trigger, spec: LoopSpec, verdict: Verdict | None, history: History, now: datetime
) -> TriggerResult:
    """Evaluate one trigger. Without a verdict, the drift and floor triggers do not fire."""
    if isinstance(trigger, DriftTrigger):
        return _drift(trigger, verdict, history)
    if isinstance(trigger, FloorTrigger):
        return _floor(spec, verdict)
    if isinstance(trigger, ScheduleTrigger):
        return _schedule(trigger, history, now)
    return _new_rows(trigger, history)


def _drift(trigger: DriftTrigger, verdict: Verdict | None, history: History) -> TriggerResult:
    wanted = " or ".join(trigger.kinds)
    if verdict is None or verdict.state != "drift":
        return TriggerResult(False, "drift", f"no {wanted} drift")
    matching = [kind for kind in verdict.drifted if kind in trigger.kinds]
    if not matching:
        return TriggerResult(
            False, "drift", f"the drift is of kind {', '.join(verdict.drifted)}, not {wanted}"
        )
    streak, since = 1, verdict.window_start
    earlier = {past.window_end: past for past in history.verdicts if past.window_end < verdict.window_end}
    for past in sorted(earlier.values(), key=lambda past: past.window_end, reverse=True):
        if past.state in ("insufficient_data", "warming_up"):  # too little data to count for or against drift
            continue
        if past.state != "drift" or not set(past.drifted) & set(trigger.kinds):
            break
        streak, since = streak + 1, past.window_start
    if streak < trigger.windows:
        return TriggerResult(
            False, "drift", f"{', '.join(matching)} drift in {streak} of {trigger.windows} windows in a row"
        )
    return TriggerResult(
        True, "drift", f"{', '.join(matching)} drift: {verdict.explanation or 'see the verdict'}", since
    )


def _floor(spec: LoopSpec, verdict: Verdict | None) -> TriggerResult:
    metric = spec.require_performance().metric
    floor, name = metric.floor, metric.name
    if floor is None or verdict is None or verdict.loss is None:
        return TriggerResult(False, "floor", f"no realised {name} to compare with the floor")
    if verdict.loss <= floor:
        return TriggerResult(False, "floor", f"{name} {verdict.loss:.4g} is not above the floor {floor:.4g}")
    return TriggerResult(
        True, "floor", f"{name} {verdict.loss:.4g} is above the floor {floor:.4g}", verdict.window_start
    )


def _last_training(history: History) -> datetime | None:
    """When the served version was trained, or a later run happened: schedules count from there."""
    times = [run.event_time for run in history.runs if run.counts]
    if history.trained_at is not None:
        times.append(history.trained_at)
    return max(times, default=None)


def _schedule(trigger: ScheduleTrigger, history: History, now: datetime) -> TriggerResult:
    since = _last_training(history)
    if since is None:
        return TriggerResult(False, "schedule", "the age of the served version is not known yet")
    age = now - since
    words = f"{_days(age.total_seconds())} since the last training, schedule {_days(trigger.every.total_seconds())}"
    return TriggerResult(age >= trigger.every, "schedule", words)


def _new_rows(trigger: NewRowsTrigger, history: History) -> TriggerResult:
    if history.rows_since is None:
        return TriggerResult(False, "new_rows", "new rows could not be counted")
    words = f"{history.rows_since} new rows with outcomes, required {trigger.rows}"
    return TriggerResult(history.rows_since >= trigger.rows, "new_rows", words)


def _days(seconds: float) -> str:
    return f"{seconds / 86400:.1f} d" if abs(seconds) >= 86400 else f"{seconds / 3600:.1f} h"
