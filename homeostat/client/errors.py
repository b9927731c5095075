"""What a client raises, beside `InvalidRequest` for a value that it refuses before sending.

HomeostatError
├── CallerError
│   ├── InvalidRequest      a row, value or time is wrong; found before anything was sent
│   ├── RequestRefused      the server refused the request (4xx)
│   └── OutcomesRefused     the server refused outcomes from the buffer; raised by the next flush or close
└── OperatorError
    ├── ServerFailed        the server failed (5xx); `error_id` is in its log
    ├── ServerUnavailable   not reachable, overloaded or not ready until the time for retries was over
    ├── AnswerLost          the connection broke after a prediction was sent: it may have been logged
    ├── OutcomeBufferFull   the buffer has no space, because outcomes cannot be sent
    └── OutcomesNotSent     outcomes are left in the buffer; `outcomes` has them
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.errors import CallerError, HomeostatError, OperatorError

if TYPE_CHECKING:
    from homeostat.client.outcomes import Outcome


@dataclass(frozen=True)
class ServerMessage:
    """The body of an error response; empty fields where the server said nothing."""

    status: int
    error: str
    hint: str = ""
    error_id: str = ""
    field: str = ""
    expected: str = ""
    row: int | None = None
    rows: tuple[int, ...] = ()
    is_ours: bool = False
    """Whether the body has the form of Homeostat's errors; a proxy's has not."""


class ServerError(HomeostatError):
    """An error response. `error`, `hint`, `error_id`, `field`, `expected` and `row` are the server's."""

    def __init__(self, message: ServerMessage) -> None:
        text = message.error
        if message.expected:
            text += f"; expected {message.expected}"
        if message.error_id:
            text += f" (error_id {message.error_id} in the server's log)"
        super().__init__(text, hint=message.hint)
        self.status = message.status
        self.error = message.error
        self.error_id = message.error_id
        self.field = message.field
        self.expected = message.expected
        self.row = message.row


class RequestRefused(ServerError, CallerError):
    """The server refused the request; it is not sent again."""


class ServerFailed(ServerError, OperatorError):
    """The server failed unexpectedly; it is not asked again."""


class ServerUnavailable(OperatorError):
    """The server cannot be reached, is overloaded or not ready, and the time for retries is over."""


class AnswerLost(OperatorError):
    """A prediction was sent and no answer came: the server may have logged it. Not repeated, since that could log it twice."""


class OutcomeBufferFull(OperatorError):
    """The outcomes of this call do not fit into the buffer. `taken` is how many of them did."""

    def __init__(self, message: str, *, hint: str, taken: int) -> None:
        super().__init__(message, hint=hint)
        self.taken = taken


class OutcomesNotSent(OperatorError):
    """The time for sending is over. `outcomes` are those that the server has not accepted, oldest first."""

    def __init__(self, message: str, *, hint: str, outcomes: Sequence[Outcome]) -> None:
        super().__init__(message, hint=hint)
        self.outcomes = list(outcomes)


@dataclass(frozen=True)
class RefusedOutcome:
    """An outcome that the server refused, with its reason."""

    outcome: Outcome
    reason: RequestRefused


class OutcomesRefused(CallerError):
    """The server refused outcomes, and they were dropped. `refused` are the first hundred, `count` is the number of all."""

    def __init__(self, refused: Sequence[RefusedOutcome], count: int) -> None:
        first = refused[0]
        super().__init__(
            f"the server refused {count} outcome{'s' if count > 1 else ''}, first that of prediction "
            f"{first.outcome.prediction_id}: {first.reason.message}",
            hint=first.reason.hint,
        )
        self.refused = list(refused)
        self.count = count
