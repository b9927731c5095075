"""The brakes: cooldown and budget, both on event time, both safe against a clock that steps back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from shared.contracts.loop_spec import Budget


def cooling_until(runs: Sequence[datetime], cooldown: timedelta, now: datetime) -> datetime | None:
    """The end of the cooldown that `now` falls into; None where a run may start.

    Two runs may never lie closer than `cooldown`, whichever of them has the later event time.
    """
    near = [run for run in runs if abs(run - now) < cooldown]
    return max(near) + cooldown if near else None


def budget_spent(runs: Sequence[datetime], budget: Budget, now: datetime) -> bool:
    """Whether one more run at `now` would put more than `budget.runs` runs into some stretch of length `budget.per`."""
    times = sorted([*runs, now])
    place = times.index(now)
    for first in range(max(0, place - budget.runs), place + 1):
        last = first + budget.runs
        if last < len(times) and first <= place <= last and times[last] - times[first] < budget.per:
            return True
    return False
