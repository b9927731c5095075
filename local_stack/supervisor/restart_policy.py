"""When an exited process is restarted. Pure: no clock, no process."""

from __future__ import annotations

from dataclasses import dataclass, field

from shared.backoff import Backoff

BACKOFF = Backoff(first_s=0.5, max_s=30.0)
STEADY_AFTER_S = 30.0


@dataclass(frozen=True)
class Restarts:
    """Restart history: `count` in total, and `in_a_row` without a stable period between them."""

    count: int = 0
    in_a_row: int = 0
    due: float | None = field(default=None)

    def died(self, *, started: float, now: float) -> Restarts:
        """After an exit: due after a pause that doubles with every exit in a row.

        A life of `STEADY_AFTER_S` seconds ends the row. Times are seconds of one monotonic clock.
        """
        row = 0 if now - started >= STEADY_AFTER_S else self.in_a_row
        return Restarts(self.count, row + 1, now + BACKOFF.pause(row + 1))

    def is_due(self, now: float) -> bool:
        """Whether the pause is over."""
        return self.due is not None and now >= self.due

    def started(self) -> Restarts:
        """After a restart."""
        return Restarts(self.count + 1, self.in_a_row, None)


def stop_order(started: list[str]) -> list[str]:
    """The stop order: the last started process first."""
    return list(reversed(started))
