"""The triggers: each evaluates a verdict and the history, and returns whether it fires and why.

A window has a verdict on its inputs, when it closes, and one on its performance, when its outcomes are due. Drift of
features, predictions and estimated performance is in the first, drift of realised performance in the second. Stream
detectors find features and predictions between windows, and a rise of the loss that only many windows together show. The
other triggers are evaluated with the verdict on performance, once per window. A schedule that is due, or enough new rows,
although no such verdict comes, is a cause of its own (`due_schedule`, `awaits_rows`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.retraining.policy.decision import History, PastVerdict, ReasonCode
from shared.contracts.loop_spec import LoopSpec
from shared.contracts.retraining_spec import (
    DriftTrigger,
    FloorTrigger,
    NewRowsTrigger,
    ScheduleTrigger,
    Trigger,
    WorseThanFirstTrigger,
)
from shared.contracts.verdict import Detector, Verdict

_WITHOUT_OUTCOMES: tuple[Detector, ...] = ("inputs", "stream")
# Kinds of drift that a detector measures.
_KINDS: Mapping[Detector, tuple[str, ...]] = {
    "inputs": ("feature", "prediction", "estimated_performance"),
    "performance": ("performance",),
    "stream": ("feature", "prediction"),
    "request": ("feature", "prediction", "estimated_performance", "performance"),
}


@dataclass(frozen=True)
class TriggerResult:
    """Whether a trigger fires, and why."""

    fires: bool
    reason_code: ReasonCode
    reason: str
    change_since: datetime | None = None


def measures(trigger: Trigger, detector: Detector) -> bool:
    """Whether verdicts of a detector can make a trigger fire."""
    if isinstance(trigger, DriftTrigger):
        return bool(set(trigger.kinds) & set(_KINDS[detector]))
    return detector not in _WITHOUT_OUTCOMES


def evaluate_trigger(
    trigger: Trigger, spec: LoopSpec, verdict: Verdict | None, history: History, now: datetime
) -> TriggerResult:
    """Evaluate one trigger. Without a verdict, the drift and floor triggers do not fire."""
    if isinstance(trigger, WorseThanFirstTrigger):
        return TriggerResult(
            False, trigger.when, "evaluated when both versions are compared on the same rows"
        )
    if isinstance(trigger, DriftTrigger):
        return _drift(trigger, spec, verdict, history)
    if verdict is not None and verdict.detector in _WITHOUT_OUTCOMES:
        return TriggerResult(False, trigger.when, "evaluated when the outcomes of the window are due")
    if isinstance(trigger, FloorTrigger):
        return _floor(spec, verdict)
    if isinstance(trigger, ScheduleTrigger):
        return _schedule(trigger, history, now)
    return _new_rows(trigger, history)


def _drift(trigger: DriftTrigger, spec: LoopSpec, verdict: Verdict | None, history: History) -> TriggerResult:
    wanted = " or ".join(trigger.kinds)
    if verdict is None or verdict.state != "drift":
        return TriggerResult(False, "drift", f"no {wanted} drift")
    matching = [kind for kind in verdict.drifted if kind in trigger.kinds]
    if not matching:
        return TriggerResult(
            False, "drift", f"the drift is of kind {', '.join(verdict.drifted)}, not {wanted}"
        )
    if verdict.detector == "stream" and "performance" in matching and _exceeds_a_window(spec, verdict):
        # The evidence of many windows, none of which needs to show it.
        return TriggerResult(True, "drift", f"performance drift: {verdict.explanation}", verdict.window_start)
    streak, since = 1, verdict.window_start
    for window in _earlier_windows(trigger, verdict, history):
        if not any(past.state == "drift" and set(past.drifted) & set(trigger.kinds) for past in window):
            break
        streak, since = streak + 1, window[0].window_start
    if streak < trigger.windows:
        return TriggerResult(
            False, "drift", f"{', '.join(matching)} drift in {streak} of {trigger.windows} windows in a row"
        )
    return TriggerResult(
        True, "drift", f"{', '.join(matching)} drift: {verdict.explanation or 'see the verdict'}", since
    )


def _exceeds_a_window(spec: LoopSpec, verdict: Verdict) -> bool:
    """Whether its span, from onset to alarm, is longer than a window."""
    window = spec.drift.window
    if window.every is not None:
        return verdict.window_end - verdict.window_start > window.every
    return window.rows is not None and verdict.rows > window.rows


def _earlier_windows(trigger: DriftTrigger, verdict: Verdict, history: History) -> list[list[PastVerdict]]:
    """The windows before that of `verdict`, newest first, each with its verdicts that count for or against such drift.

    A verdict with too little data does not count, nor one of the detector that does not measure any of the kinds.
    """
    windows: dict[datetime, list[PastVerdict]] = {}
    for past in history.verdicts:
        counts = past.state not in ("insufficient_data", "warming_up")
        measured = set(trigger.kinds) & set(_KINDS[past.detector]) or set(trigger.kinds) & set(past.drifted)
        if past.window_end < verdict.window_end and counts and measured:
            windows.setdefault(past.window_end, []).append(past)
    return [windows[end] for end in sorted(windows, reverse=True)]


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


def last_training(history: History) -> datetime | None:
    """When the served version was trained, or a later run happened: schedules count from there."""
    times = [run.event_time for run in history.runs if run.counts]
    if history.trained_at is not None:
        times.append(history.trained_at)
    return max(times, default=None)


def _schedule(trigger: ScheduleTrigger, history: History, now: datetime) -> TriggerResult:
    since = last_training(history)
    if since is None:
        return TriggerResult(False, "schedule", "the age of the served version is not known yet")
    age = now - since
    words = f"{_days(age.total_seconds())} since the last training, schedule {_days(trigger.every.total_seconds())}"
    return TriggerResult(age >= trigger.every, "schedule", words)


@dataclass(frozen=True)
class DueSchedule:
    """A schedule that was due before now, and whose window had time to get its verdict.

    `since`: the last training. `number`: how many times the interval has passed since then; without a training it is due again
    at each, so both name what is due once.
    """

    trigger: ScheduleTrigger
    since: datetime
    number: int


def due_schedule(spec: LoopSpec, history: History, now: datetime) -> DueSchedule | None:
    """The schedule that no verdict has come for, at event time `now`; None if there is none.

    The verdict on performance that comes after the due time belongs to a window that ends at most one window later, and is
    there once its outcomes are: a schedule waits for these two lengths of event time.
    """
    performance, since = spec.performance, last_training(history)
    if performance is None or since is None:
        return None
    wait = _until_verdict(spec)
    for trigger in performance.retraining.triggers:
        if isinstance(trigger, ScheduleTrigger) and (number := (now - wait - since) // trigger.every) >= 1:
            return DueSchedule(trigger, since, number)
    return None


def awaits_rows(spec: LoopSpec, history: History, now: datetime) -> NewRowsTrigger | None:
    """The trigger `new_rows` that no verdict has evaluated for longer than one takes, at event time `now`; None if there is none.

    A verdict of `insufficient_data` or `warming_up` evaluates no trigger.
    """
    performance, since = spec.performance, last_training(history)
    if performance is None or since is None:
        return None
    evaluated = [
        past.window_end
        for past in history.verdicts
        if past.detector not in _WITHOUT_OUTCOMES and past.state in ("ok", "drift")
    ]
    if now <= max([since, *evaluated]) + _until_verdict(spec):
        return None
    return next((one for one in performance.retraining.triggers if isinstance(one, NewRowsTrigger)), None)


def _until_verdict(spec: LoopSpec) -> timedelta:
    """Event time until the verdict on performance that comes next: a window, and the delay of its outcomes."""
    delay = spec.performance.outcome.delay if spec.performance is not None else timedelta(0)
    return (spec.drift.window.every or timedelta(0)) + delay


def _new_rows(trigger: NewRowsTrigger, history: History) -> TriggerResult:
    if history.rows_since is None:
        return TriggerResult(False, "new_rows", "new rows could not be counted")
    words = f"{history.rows_since} new rows with outcomes, required {trigger.rows}"
    return TriggerResult(history.rows_since >= trigger.rows, "new_rows", words)


def _days(seconds: float) -> str:
    return f"{seconds / 86400:.1f} d" if abs(seconds) >= 86400 else f"{seconds / 3600:.1f} h"
