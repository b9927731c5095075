"""The simulated clock: how far the replay may be ahead of the loop, which runs in real time. Pure."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from datetime import datetime, timedelta

RUN_LEAD = timedelta(days=2)
EVALUATION_LEAD = timedelta(days=3)


class LoopStalled(RuntimeError):
    """The loop makes no progress, so the simulated clock cannot advance."""


@dataclass
class Clock:
    """Records the simulated time at each real time (seconds since 1970).

    `run_lead`, `evaluation_lead`: how far it may be ahead of the begin of a run, and of the evaluated windows.
    """

    started: datetime
    run_lead: timedelta = RUN_LEAD
    evaluation_lead: timedelta = EVALUATION_LEAD
    _real: list[float] = field(default_factory=list)
    _simulated: list[datetime] = field(default_factory=list)

    def move(self, real: float, simulated: datetime) -> None:
        """The simulated time is `simulated` from `real` on; both only increase."""
        self._real.append(real)
        self._simulated.append(simulated)

    def at(self, real: float) -> datetime:
        """The simulated time at `real`; the start before the first move."""
        place = bisect_right(self._real, real)
        return self._simulated[place - 1] if place else self.started

    def limit(self, evaluated: datetime | None, run_since: float | None) -> datetime:
        """The maximum simulated time for now.

        `evaluated`: drift has evaluated all complete windows up to here; None before the first evaluation.
        `run_since`: the real time when the active run began; None without an active run.
        """
        limit = (evaluated or self.started) + self.evaluation_lead
        if run_since is not None:
            limit = min(limit, self.at(run_since) + self.run_lead)
        return limit
