"""When a failed request is sent again, and after which pause. Pure: the clock and the random number are arguments."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from shared.backoff import Backoff
from shared.errors import HomeostatError

_BACKOFF = Backoff(first_s=0.1, max_s=5.0)


@dataclass(frozen=True)
class Failure:
    """A request that failed: the error for the caller, whether it may be sent again, and the pause that the server asks for.

    `rows`: the failure is about these rows of the request alone; empty if it is about all.
    """

    error: HomeostatError
    may_repeat: bool = False
    retry_after_s: float = 0.0
    rows: tuple[int, ...] = ()


def pause_s(failures: int, failure: Failure, jitter: float) -> float:
    """Seconds until the next attempt after that many failures in a row; `jitter` is a random number from 0 to 1.

    Doubled after each failure and shortened by up to a half, so that clients of a restarted server do not come at once; never
    shorter than the server's Retry-After, which `jitter` lengthens by up to a half.
    """
    if failure.retry_after_s > 0:
        return max(failure.retry_after_s * (1 + jitter / 2), _BACKOFF.pause(failures) * (1 - jitter / 2))
    return _BACKOFF.pause(failures) * (1 - jitter / 2)


class Attempts:
    """The attempts of one request within a time budget."""

    def __init__(self, budget_s: float, now: float) -> None:
        self._ends = now + budget_s
        self._failures = 0

    def next_pause_s(self, failure: Failure, now: float, jitter: float) -> float:
        """Seconds until the next attempt. Raises the failure's error if there is none within the budget."""
        self._failures += 1
        pause = pause_s(self._failures, failure, jitter)
        if not failure.may_repeat or now + pause > self._ends:
            raise failure.error
        return pause


def retry_after_s(header: str, now: datetime | None = None) -> float:
    """Seconds of a Retry-After header, in either of its forms; 0 if there is none or it cannot be read."""
    try:
        return max(0.0, float(header)) if float(header) < float("inf") else 0.0
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(header)
    except ValueError:
        return 0.0
    return max(0.0, (moment - (now or datetime.now(UTC))).total_seconds()) if moment.tzinfo else 0.0
