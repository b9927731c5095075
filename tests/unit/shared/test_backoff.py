"""Pauses between attempts: they double, and they are bounded."""

from __future__ import annotations

from shared.backoff import Backoff


def test_pause_doubles_up_to_the_limit() -> None:
    backoff = Backoff(first_s=0.5, max_s=3.0)
    assert [backoff.pause(failures) for failures in range(1, 6)] == [0.5, 1.0, 2.0, 3.0, 3.0]


def test_first_pause_never_exceeds_the_limit() -> None:
    assert Backoff(first_s=5.0, max_s=2.0).pause(1) == 2.0


def test_pause_after_a_week_of_failures() -> None:
    # 0.5 * 2**1100 is more than a float can hold.
    assert Backoff(first_s=0.5, max_s=600.0).pause(1101) == 600.0
