from __future__ import annotations

from datetime import UTC, datetime, timedelta

from examples.loop.clock import Clock

START = datetime(2013, 1, 15, tzinfo=UTC)


def test_three_days_are_allowed_before_the_first_poll() -> None:
    assert Clock(START).limit(None, None) == START + timedelta(days=3)


def test_the_clock_stays_three_days_ahead_of_what_drift_has_seen() -> None:
    assert Clock(START).limit(START + timedelta(days=9), None) == START + timedelta(days=12)


def test_a_run_at_work_lets_it_move_two_days_from_when_the_run_began() -> None:
    clock = Clock(START)
    clock.move(100.0, START + timedelta(days=1))
    clock.move(200.0, START + timedelta(days=5))
    seen = START + timedelta(days=30)
    assert clock.limit(seen, 150.0) == START + timedelta(days=3)
    assert clock.limit(seen, 250.0) == START + timedelta(days=7)
    assert clock.limit(seen, 50.0) == START + timedelta(days=2)
    assert clock.limit(seen, None) == START + timedelta(days=33)
