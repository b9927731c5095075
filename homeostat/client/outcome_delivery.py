"""How outcomes leave the buffer, for both clients. Pure: what to send next, and what an answer means for the buffer."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from homeostat.client.errors import RequestRefused
from homeostat.client.exchange import Call, outcomes_call
from homeostat.client.outcomes import Outcome, OutcomeBuffer
from homeostat.client.retry import Failure, pause_s

_log = logging.getLogger("homeostat.client")
_TOO_LARGE = 413


@dataclass(frozen=True)
class BufferSettings:
    """When outcomes are sent: as soon as there are `flush_at`, or the oldest is `flush_after_s` seconds old."""

    size: int = 10_000
    flush_at: int = 500
    flush_after_s: float = 1.0


class OutcomeDelivery:
    """Sends the oldest first, in one request at a time. The caller locks the buffer, and has one request under way at most.

    Outcomes that the server cannot take yet, such as those of a model that is still loading, are set aside. They are sent in
    requests of their own, after pauses of their own, and so delay no others.
    """

    def __init__(self, settings: BufferSettings) -> None:
        self.settings = settings
        self.buffer = OutcomeBuffer(settings.size)
        self._most = settings.flush_at
        self._sends_aside = False
        self._aside_due = 0.0
        self._aside_failures = 0

    def is_due(self, now: float) -> bool:
        """Whether there are enough outcomes, or one waits long enough."""
        waiting = self.buffer.count(is_aside=False)
        return (
            waiting >= self.settings.flush_at
            or (waiting > 0 and self.buffer.age(now) >= self.settings.flush_after_s)
            or (self.buffer.count(is_aside=True) > 0 and now >= self._aside_due)
        )

    def seconds_until_due(self, now: float) -> float | None:
        """Seconds until outcomes are due if none is added; None for an empty buffer."""
        if self.is_due(now):
            return 0.0
        pauses = []
        if self.buffer.count(is_aside=False):
            pauses.append(self.settings.flush_after_s - self.buffer.age(now))
        if self.buffer.count(is_aside=True):
            pauses.append(self._aside_due - now)
        return min(pauses, default=None)

    def batch(self, now: float) -> list[Outcome]:
        """The outcomes of the next request: those set aside when their pause is over, or if there are no others."""
        aside, waiting = (self.buffer.count(is_aside=is_aside) for is_aside in (True, False))
        self._sends_aside = aside > 0 and (now >= self._aside_due or not waiting)
        return self.buffer.oldest(self._most, is_aside=self._sends_aside)

    def call(self, batch: list[Outcome]) -> Call:
        """The next request."""
        return outcomes_call(batch)

    def settle(self, batch: list[Outcome], failure: Failure | None, now: float) -> Failure | None:
        """Update the buffer after an answer; the failure that is left, None if sending goes on.

        1. accepted: drop all of them        2. one is refused: drop that one; the server has taken none of the others
        3. too large: send fewer at once     4. some cannot be taken yet: set these aside     5. anything else: all stay
        """
        aside = self._sends_aside
        if failure is None:
            self.buffer.drop_accepted(len(batch), is_aside=aside)
            self._most = self.settings.flush_at
            self._aside_failures = 0 if aside else self._aside_failures
            return None
        error = failure.error
        if isinstance(error, RequestRefused):
            if error.row is not None and 0 <= error.row < len(batch):
                self.buffer.drop_refused(error.row, error, is_aside=aside)
                return None
            if error.status == _TOO_LARGE and len(batch) > 1:
                self._most = len(batch) // 2
                return None
        rows = {row for row in failure.rows if 0 <= row < len(batch)}
        if not rows:
            return failure
        if aside or not self.buffer.count(is_aside=True):
            self._aside_failures += 1
            self._aside_due = now + pause_s(self._aside_failures, failure, 0.0)
        if self._aside_failures == 1:
            _log.warning("%d outcomes are kept and sent later: %s", len(rows), failure.error)
        self.buffer.set_aside(rows, len(batch), is_aside=aside)
        return failure if aside and not self.buffer.count(is_aside=False) else None


def kept_message(failure: Failure) -> str:
    """What happens to outcomes that could not be sent."""
    if getattr(failure.error, "status", 0) in (401, 403):
        return (
            f"outcomes are kept, but not accepted: {failure.error}; a client has the key that it was made with, so they are sent "
            "only if that is accepted again: make a client with a valid key, and record them with it"
        )
    return f"outcomes are kept and sent later: {failure.error}"
