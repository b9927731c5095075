"""Outcomes, checked when they are given, and the buffer they wait in. Pure: no I/O, and time is an argument."""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from homeostat.client.errors import (
    OutcomeBufferFull,
    OutcomesNotSent,
    OutcomesRefused,
    RefusedOutcome,
    RequestRefused,
)
from homeostat.client.plain_values import plain, time_text
from shared.errors import InvalidRequest

_log = logging.getLogger("homeostat.client")
_KEPT_REFUSALS = 100
_LOGGED_REFUSALS = 5
_BY_NAME = 'pass several values by name, such as {"low": 1.5, "high": 3.0}; from a data frame: row[["low", "high"]].to_dict()'
_KEYS = frozenset({"prediction_id", "value", "observed_at"})


@dataclass(frozen=True)
class Outcome:
    """What turned out to be true of one prediction."""

    prediction_id: str
    value: float | int | str | dict[str, float]
    observed_at: str


@dataclass(frozen=True)
class OutcomeCounts:
    """Outcomes that the server accepted, that it refused, and that wait in the buffer."""

    accepted: int
    refused: int
    waiting: int


def make_outcome(prediction_id: Any, value: Any, observed_at: Any, now: datetime) -> Outcome:
    """An outcome as it is sent; true and false are 1 and 0. `observed_at` None is `now`. Raises InvalidRequest."""
    if not isinstance(prediction_id, str) or not prediction_id:
        raise InvalidRequest(
            f"`prediction_id` is {repr(prediction_id)[:60]}",
            field="prediction_id",
            expected="the id of a prediction",
        )
    value = (
        {name: plain(each) for name, each in value.items()} if isinstance(value, Mapping) else plain(value)
    )
    if isinstance(value, bool):
        value = int(value)
    if not (isinstance(value, str) or _is_number(value) or _are_numbers(value)):
        raise InvalidRequest(
            f"`value` of prediction {prediction_id} is " + ("missing" if value is None else repr(value)[:60]),
            field="value",
            expected="a finite number, a label, or a dictionary of finite numbers by name",
            hint=_BY_NAME if isinstance(value, list) else "send an outcome when it is known",
        )
    moment = time_text(now if observed_at is None else observed_at, field="observed_at")
    return Outcome(plain(prediction_id), value, str(moment))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _are_numbers(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and bool(value)
        and all(isinstance(name, str) and _is_number(each) for name, each in value.items())
    )


def make_outcomes(given: Iterable[Any], now: datetime) -> list[Outcome]:
    """Outcomes from mappings, or from tuples of id, value and perhaps a time. Raises InvalidRequest."""
    made = []
    for number, each in enumerate(given):
        if isinstance(each, Mapping) and set(each) <= _KEYS:
            parts: Sequence[Any] = (
                each.get("prediction_id"),
                each.get("value"),
                each.get("observed_at"),
            )
        elif isinstance(each, tuple | list) and len(each) in (2, 3):
            parts = (*each, None)[:3]
        else:
            raise InvalidRequest(
                f"outcome {number} is {repr(each)[:60]}",
                field="outcomes",
                expected="a dictionary of prediction_id, value and observed_at, or a tuple of them",
                row=number,
            )
        made.append(make_outcome(parts[0], parts[1], parts[2], now))
    return made


class OutcomeBuffer:
    """Outcomes that the server has not accepted yet, oldest first. One sender at a time; the caller locks.

    Those that the server cannot take yet are set aside, so that they do not hold the others: `is_aside` chooses between the two.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._waiting: deque[tuple[Outcome, float]] = deque()
        self._aside: deque[tuple[Outcome, float]] = deque()
        self._refused: list[RefusedOutcome] = []
        self._refused_count = 0
        self._accepted = 0
        self._refused_ever = 0

    def __len__(self) -> int:
        return len(self._waiting) + len(self._aside)

    def count(self, *, is_aside: bool) -> int:
        """Outcomes that are set aside, or those that are not."""
        return len(self._queue(is_aside))

    def add(self, outcomes: Sequence[Outcome], now: float) -> int:
        """Take as many as there is space for; how many."""
        taken = outcomes[: max(0, self._limit - len(self))]
        self._waiting.extend((outcome, now) for outcome in taken)
        return len(taken)

    def age(self, now: float) -> float:
        """Seconds since the oldest that is not set aside was added; 0 if there is none."""
        return now - self._waiting[0][1] if self._waiting else 0.0

    def oldest(self, limit: int, *, is_aside: bool) -> list[Outcome]:
        """The next outcomes to send; they stay in the buffer."""
        queue = self._queue(is_aside)
        return [queue[index][0] for index in range(min(limit, len(queue)))]

    def drop_accepted(self, count: int, *, is_aside: bool) -> None:
        """The server has accepted the oldest."""
        for _ in range(count):
            self._queue(is_aside).popleft()
        self._accepted += count

    def drop_refused(self, row: int, reason: RequestRefused, *, is_aside: bool) -> None:
        """The server refused one of the oldest; the others remain."""
        queue = self._queue(is_aside)
        outcome, _ = queue[row]
        del queue[row]
        self._refused_ever += 1
        self._refused_count += 1
        if len(self._refused) < _KEPT_REFUSALS:
            self._refused.append(RefusedOutcome(outcome, reason))
        if self._refused_count <= _LOGGED_REFUSALS:
            _log.warning("outcome of prediction %s refused: %s", outcome.prediction_id, reason)
        elif self._refused_count == _LOGGED_REFUSALS + 1:
            _log.warning(
                "more outcomes are refused; `flush` and `close` raise OutcomesRefused, which has them"
            )

    def set_aside(self, rows: Collection[int], sent: int, *, is_aside: bool) -> None:
        """Of the `sent` oldest, those at `rows` go behind the outcomes that are set aside; the others can be sent at once."""
        queue = self._queue(is_aside)
        taken = [queue.popleft() for _ in range(sent)]
        self._aside.extend(item for row, item in enumerate(taken) if row in rows)
        self._waiting.extendleft(reversed([item for row, item in enumerate(taken) if row not in rows]))

    def _queue(self, is_aside: bool) -> deque[tuple[Outcome, float]]:
        return self._aside if is_aside else self._waiting

    @property
    def counts(self) -> OutcomeCounts:
        """Outcomes so far."""
        return OutcomeCounts(self._accepted, self._refused_ever, len(self))

    def raise_refused(self) -> None:
        """Raise OutcomesRefused if outcomes were refused since the last call."""
        refused, count = self._refused, self._refused_count
        self._refused, self._refused_count = [], 0
        if refused:
            raise OutcomesRefused(refused, count)

    def full(self, taken: int, reason: str) -> OutcomeBufferFull:
        """The error for outcomes without space."""
        return OutcomeBufferFull(
            f"the buffer holds {len(self)} outcomes and has no space for more: {reason}",
            hint="keep these outcomes and try later, or give the client a larger `buffer_size`",
            taken=taken,
        )

    def not_sent(self, reason: str) -> OutcomesNotSent:
        """The error for outcomes that are left."""
        return OutcomesNotSent(
            f"{len(self)} outcomes were not sent: {reason}",
            hint="they are in `outcomes` of this error: store them, and send them again when the server answers",
            outcomes=[outcome for outcome, _ in [*self._aside, *self._waiting]],
        )
