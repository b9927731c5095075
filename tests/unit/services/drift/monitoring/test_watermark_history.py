from __future__ import annotations

from datetime import timedelta

import pytest

from services.drift.monitoring.watermark_history import MOST, Looks
from services.drift.windows import Span, Watermarks
from tests.unit.services.drift.world import minutes

HALF = timedelta(minutes=30)


def seen(until: float) -> Watermarks:
    return Watermarks(minutes(until), minutes(until))


def hour(number: int) -> Span:
    return Span(minutes(60 * number), minutes(60 * number + 60))


def test_the_first_look_that_saw_it_complete_counts() -> None:
    looks = Looks()
    for at, until in ((1.0, 80), (2.0, 91), (3.0, 91), (4.0, 155), (5.0, 160)):
        looks.add(seen(until), at)
    assert looks.first_complete(hour(0), HALF) == 2.0
    assert looks.first_complete(hour(0), timedelta(0)) == 2.0, "what saw less was let go"
    assert looks.first_complete(hour(1), HALF) == 4.0


def test_many_windows_of_one_look_have_one_moment() -> None:
    looks = Looks()
    looks.add(seen(1000), 7.0)
    assert {looks.first_complete(hour(number), HALF) for number in range(10)} == {7.0}


def test_a_window_nobody_saw_complete_has_no_moment() -> None:
    looks = Looks()
    looks.add(seen(80), 1.0)
    with pytest.raises(LookupError, match="ends at 2026-01-01T01:00:00"):
        looks.first_complete(hour(0), HALF)


def test_what_is_remembered_is_bounded() -> None:
    looks = Looks()
    for at in range(MOST + 5):
        looks.add(seen(100 + at), float(at))
    assert looks.first_complete(hour(0), HALF) == 5.0
