"""The states of a model's detectors, from the worst to the best, and how long an alarm counts. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from shared.contracts.verdict import Clock, State, Verdict

ModelStateName = State | Literal["not_judged"]
# From the worst to the best. `not_judged`: outcomes are overdue, so nothing is known about performance now.
STATES: tuple[ModelStateName, ...] = (
    "data_fault",
    "drift",
    "not_judged",
    "insufficient_data",
    "warming_up",
    "ok",
)


def worst(states: Iterable[ModelStateName]) -> ModelStateName:
    """The worst of the states; `warming_up` if there are none.

    >>> worst(["ok", "not_judged"])
    'not_judged'
    """
    return min(states, key=STATES.index, default="warming_up")


def is_newer(alarm: Verdict, last: Verdict | None) -> bool:
    """Whether an alarm between windows is newer than the last verdict of its clock, see `clock_of`.

    A window that closed after an alarm about inputs has judged the same rows. One of performance has not: the alarm is the
    evidence of many windows, and is the newest until rows after it are judged.
    """
    if last is None:
        return True
    if clock_of(alarm) == "performance":
        return alarm.window_end > last.window_start
    return alarm.window_end > last.window_end


def clock_of(alarm: Verdict) -> Clock:
    """The clock whose next verdict takes the place of an alarm between windows."""
    return "performance" if alarm.drifted == ("performance",) else "inputs"
