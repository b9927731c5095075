"""The limits on runs: one at a time, cooldown and budget. Both use event time and tolerate a clock that was set back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from services.retraining.policy.decision import PastRun, ReasonCode
from shared.contracts.retraining_spec import Budget
from shared.contracts.verdict import Detector, Verdict

# Both judge features and predictions: one change is found by the first between windows and by the second when its window closes.
INPUT_DETECTORS: tuple[Detector, ...] = ("stream", "inputs")

# What holds a run back for a time: the same cause could start one later.
LIMITS: tuple[ReasonCode, ...] = ("run_in_progress", "suggestion_open", "cooling_down", "budget_spent")


def may_start(runs: Sequence[PastRun], budget: Budget | None, now: datetime) -> tuple[ReasonCode, str] | None:
    """Why a run may not start at `now`, as reason code and reason; None if it may. `runs` are the model's other runs.

    1. one run at a time, not counting suggestions   2. the budget
    """
    for run in runs:
        if run.open and not run.suggested:
            return "run_in_progress", f"run {run.run_id} is in progress or waits for approval"
    if budget is not None and budget_spent(counted_times(runs), budget, now):
        days = budget.per.total_seconds() / 86400
        return "budget_spent", f"the budget of {budget.runs} runs in {days:g} d is used up"
    return None


def same_incident(runs: Sequence[PastRun], verdict: Verdict) -> PastRun | None:
    """The run that followed a verdict of the other detector of inputs, within the time that this verdict is about.

    The window that a change fell into reports it too, and so may an alarm that comes after the window's verdict. What began
    after the run's event time is another change.
    """
    if verdict.detector not in INPUT_DETECTORS or verdict.drifted == ("performance",):
        return None  # a rise of the loss over many windows is no change of inputs in one of them
    for run in runs:
        is_other = run.detector in INPUT_DETECTORS and run.detector != verdict.detector
        if is_other and _has_answered(run) and verdict.window_start < run.event_time <= verdict.window_end:
            return run
    return None


def run_of_window(runs: Sequence[PastRun], verdict: Verdict) -> PastRun | None:
    """Of a revised verdict, the newest run that began in its window or after it, for whatever cause; None if there is none.

    Such a run had the rows of the window. Late outcomes change what is known of them, but that is no second change: one that
    lasts is in the verdicts on later windows.
    """
    if verdict.revision == 1:
        return None
    began = [run for run in runs if _has_answered(run) and run.event_time > verdict.window_start]
    return max(began, key=lambda run: run.event_time, default=None)


def _has_answered(run: PastRun) -> bool:
    """A run that ended before training has answered no change."""
    return run.counts or run.open or run.suggested


def counted_times(runs: Sequence[PastRun]) -> list[datetime]:
    """Event times of the runs that count for cooldown and budget."""
    return [run.event_time for run in runs if run.counts and not run.suggested]


def cooling_until(runs: Sequence[datetime], cooldown: timedelta, now: datetime) -> datetime | None:
    """The end of the cooldown at `now`; None if a run may start.

    Two runs are never closer than `cooldown`, whichever has the later event time.
    """
    near = [run for run in runs if abs(run - now) < cooldown]
    return max(near) + cooldown if near else None


def budget_spent(runs: Sequence[datetime], budget: Budget, now: datetime) -> bool:
    """Whether a run at `now` would give more than `budget.runs` runs in some interval of length `budget.per`."""
    times = sorted([*runs, now])
    place = times.index(now)
    for first in range(max(0, place - budget.runs), place + 1):
        last = first + budget.runs
        if last < len(times) and first <= place <= last and times[last] - times[first] < budget.per:
            return True
    return False
