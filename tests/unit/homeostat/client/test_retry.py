from __future__ import annotations

from datetime import UTC, datetime

import pytest

from homeostat.client.retry import Attempts, Failure, pause_s, retry_after_s
from shared.errors import HomeostatError, OperatorError

AGAIN = Failure(OperatorError("away", hint="wait"), True)


def test_pause_doubles_and_has_a_limit() -> None:
    assert [pause_s(failures, AGAIN, 0.0) for failures in (1, 2, 3, 20)] == [0.1, 0.2, 0.4, 5.0]


def test_jitter_shortens_by_up_to_a_half() -> None:
    assert pause_s(2, AGAIN, 1.0) == 0.1


def test_retry_after_is_the_shortest_pause() -> None:
    asked = Failure(AGAIN.error, True, retry_after_s=2.0)
    assert pause_s(1, asked, 0.0) == 2.0
    assert pause_s(1, asked, 1.0) == 3.0
    assert pause_s(20, asked, 0.0) == 5.0


def test_attempts_end_with_the_budget() -> None:
    attempts = Attempts(1.0, now=10.0)
    assert attempts.next_pause_s(AGAIN, 10.0, 0.0) == 0.1
    with pytest.raises(HomeostatError, match="away"):
        attempts.next_pause_s(AGAIN, 10.9, 0.0)


def test_what_may_not_be_repeated_is_raised_at_once() -> None:
    with pytest.raises(HomeostatError):
        Attempts(1.0, now=0.0).next_pause_s(Failure(AGAIN.error), 0.0, 0.0)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("3", 3.0),
        ("Sun, 01 Mar 2026 12:00:10 GMT", 10.0),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0.0),
        *((wrong, 0.0) for wrong in ("", "soon", "-1", "inf", "nan")),
    ],
)
def test_retry_after_is_read_in_both_forms(header: str, seconds: float) -> None:
    assert retry_after_s(header, datetime(2026, 3, 1, 12, tzinfo=UTC)) == seconds
