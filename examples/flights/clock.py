"""The simulated clock: how far the replay may be ahead of the loop, which runs in real time. Pure."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from datetime import datetime, timedelta

RUN_LEAD = timedelta(days=2)
LOOK_LEAD = timedelta(days=3)


@dataclass
class Clock:
    """Remembers which simulated moment was shown at which real one (seconds since 1970)."""

    started: datetime
    _real: list[float] = field(default_factory=list)
    _simulated: list[datetime] = field(default_factory=list)

    def move(self, real: float, simulated: datetime) -> None:
        """It is `simulated` from `real` on; both only grow."""
        self._real.append(real)
        self._simulated.append(simulated)

    def at(self, real: float) -> datetime:
        """The simulated moment shown at `real`; the start before the first move."""
        place = bisect_right(self._real, real)
        return self._simulated[place - 1] if place else self.started

    def limit(self, evaluated: datetime | None, run_since: float | None) -> datetime:
        """The simulated moment the clock may not pass for now.

        `evaluated`: everything judgeable up to here was looked at by drift; None before the first look.
        `run_since`: the real moment the run at work began; None when none is at work.
        """
        limit = (evaluated or self.started) + LOOK_LEAD
        if run_since is not None:
            limit = min(limit, self.at(run_since) + RUN_LEAD)
        return limit
