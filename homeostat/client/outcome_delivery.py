"""How outcomes leave the buffer, for both clients. Pure: what to send next, and what an answer means for the buffer."""

from __future__ import annotations

from dataclasses import dataclass

from homeostat.client.errors import RequestRefused
from homeostat.client.exchange import Call, outcomes_call
from homeostat.client.outcomes import Outcome, OutcomeBuffer
from homeostat.client.retry import Failure

_TOO_LARGE = 413


@dataclass(frozen=True)
class BufferSettings:
    """When outcomes are sent: as soon as there are `flush_at`, or the oldest is `flush_after_s` seconds old."""

    size: int = 10_000
    flush_at: int = 500
    flush_after_s: float = 1.0


class OutcomeDelivery:
    """Sends the oldest first, in one request at a time. The caller locks the buffer, and has one request under way at most."""

    def __init__(self, settings: BufferSettings) -> None:
        self.settings = settings
        self.buffer = OutcomeBuffer(settings.size)
        self._most = settings.flush_at

    def is_due(self, now: float) -> bool:
        """Whether there are enough outcomes, or one waits long enough."""
        return len(self.buffer) >= self.settings.flush_at or (
            len(self.buffer) > 0 and self.buffer.age(now) >= self.settings.flush_after_s
        )

    def seconds_until_due(self, now: float) -> float | None:
        """Seconds until outcomes are due if none is added; None for an empty buffer."""
        if not len(self.buffer):
            return None
        return 0.0 if self.is_due(now) else self.settings.flush_after_s - self.buffer.age(now)

    def batch(self) -> list[Outcome]:
        """The outcomes of the next request."""
        return self.buffer.oldest(self._most)

    def call(self, batch: list[Outcome]) -> Call:
        """The next request."""
        return outcomes_call(batch)

    def settle(self, batch: list[Outcome], failure: Failure | None) -> Failure | None:
        """Update the buffer after an answer; the failure that is left, None if sending goes on.

        1. accepted: drop all of them        2. one is refused: drop that one; the server has taken none of the others
        3. too large: send fewer at once     4. anything else: all stay
        """
        if failure is None:
            self.buffer.drop_accepted(len(batch))
            self._most = self.settings.flush_at
            return None
        error = failure.error
        if isinstance(error, RequestRefused):
            if error.row is not None and 0 <= error.row < len(batch):
                self.buffer.drop_refused(error.row, error)
                return None
            if error.status == _TOO_LARGE and len(batch) > 1:
                self._most = len(batch) // 2
                return None
        return failure
