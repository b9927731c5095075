"""What is sent next, with the clock as an argument: outcomes that cannot be taken yet have a pause of their own."""

from __future__ import annotations

from typing import Any

import pytest

from homeostat.client.errors import RequestRefused, ServerMessage, ServerUnavailable
from homeostat.client.outcome_delivery import BufferSettings, OutcomeDelivery, kept_message
from homeostat.client.outcomes import Outcome
from homeostat.client.retry import Failure
from shared.errors import HomeostatError


def delivery(*ids: str, **settings: Any) -> OutcomeDelivery:
    made = OutcomeDelivery(BufferSettings(**settings))
    made.buffer.add([Outcome(one, 1.0, "2026-03-01T00:00:00Z") for one in ids], 0.0)
    return made


def early(*rows: int) -> Failure:
    return Failure(ServerUnavailable("not loaded"), True, 1.0, rows)


def ids(batch: list[Outcome]) -> list[str]:
    return [one.prediction_id for one in batch]


def test_early_outcomes_leave_the_next_request() -> None:
    ours = delivery("a", "b", "c", "d")
    assert ours.settle(ours.batch(0.0), early(1, 3), 0.0) is None
    assert ids(ours.batch(0.0)) == ["a", "c"]
    assert ours.settle(ours.batch(0.0), None, 0.0) is None
    assert (ours.buffer.counts.accepted, ours.buffer.counts.waiting) == (2, 2)


def test_early_outcomes_are_due_after_their_pause() -> None:
    ours = delivery("a")
    ours.settle(ours.batch(5.0), early(0), 5.0)
    assert not ours.is_due(5.9)
    assert ours.seconds_until_due(5.4) == pytest.approx(0.6)
    assert ours.is_due(6.0)
    assert ids(ours.batch(6.0)) == ["a"]


def test_new_outcomes_are_sent_during_the_pause() -> None:
    ours = delivery("a")
    ours.settle(ours.batch(0.0), early(0), 0.0)
    ours.buffer.add([Outcome("b", 1.0, "")], 0.5)
    assert ids(ours.batch(0.5)) == ["b"]
    assert ids(ours.batch(1.0)) == ["a"]


def test_early_outcomes_are_sent_before_their_pause_is_over_if_there_are_no_others() -> None:
    """A client that closes does not wait for nothing."""
    ours = delivery("a")
    ours.settle(ours.batch(0.0), early(0), 0.0)
    assert ids(ours.batch(0.1)) == ["a"]


def test_pauses_grow_until_one_is_accepted() -> None:
    ours, now, pauses = delivery("a"), 0.0, []
    for _ in range(7):
        ours.settle(ours.batch(now), early(0), now)
        pauses.append(ours.seconds_until_due(now))
        now += 10
    assert pauses == pytest.approx([1.0, 1.0, 1.0, 1.0, 1.6, 3.2, 5.0])
    assert ours.settle(ours.batch(now), None, now) is None
    assert len(ours.buffer) == 0
    assert ours.seconds_until_due(now) is None
    ours.buffer.add([Outcome("b", 1.0, "")], now)
    ours.settle(ours.batch(now), early(0), now)
    assert ours.seconds_until_due(now) == pytest.approx(1.0)


def test_failure_of_early_outcomes_is_reported_if_nothing_else_is_left() -> None:
    ours = delivery("a", "b")
    ours.settle(ours.batch(0.0), early(0, 1), 0.0)
    failure = early(0)
    assert ours.settle(ours.batch(1.0), failure, 1.0) is None  # b can be sent
    assert ids(ours.batch(1.0)) == ["b"]
    ours.settle(ours.batch(1.0), None, 1.0)
    assert ours.settle(ours.batch(2.0), failure, 2.0) is failure


def test_refused_early_outcome_is_dropped() -> None:
    ours = delivery("a", "b")
    ours.settle(ours.batch(0.0), early(0), 0.0)
    ours.settle(ours.batch(0.0), None, 0.0)
    refusal = Failure(RequestRefused(ServerMessage(404, "unknown", row=0)))
    assert ours.settle(ours.batch(1.0), refusal, 1.0) is None
    assert (ours.buffer.counts.refused, ours.buffer.counts.waiting) == (1, 0)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ServerUnavailable("not loaded"), "outcomes are kept and sent later: not loaded"),
        (RequestRefused(ServerMessage(500, "busy")), "outcomes are kept and sent later: busy"),
        (
            RequestRefused(ServerMessage(401, "the API key x has expired")),
            "kept, but not accepted: the API key x has expired",
        ),
        (RequestRefused(ServerMessage(403, "x lacks the scope outcomes")), "make a client with a valid key"),
    ],
)
def test_message_says_what_becomes_of_outcomes(error: HomeostatError, said: str) -> None:
    assert said in kept_message(Failure(error))
