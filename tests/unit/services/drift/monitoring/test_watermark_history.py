from __future__ import annotations

from datetime import timedelta

import pytest

from services.drift.monitoring.watermark_history import MAX_ENTRIES, WatermarkHistory
from services.drift.outcome_readiness import Watermarks
from services.drift.windows import Span
from tests.unit.services.drift.world import minutes

HALF = timedelta(minutes=30)


def seen(until: float) -> Watermarks:
    return Watermarks(minutes(until), minutes(until))


def hour(number: int) -> Span:
    return Span(minutes(60 * number), minutes(60 * number + 60))


def test_first_poll_that_saw_window_ready_counts() -> None:
    watermark_history = WatermarkHistory()
    for at, until in ((1.0, 80), (2.0, 91), (3.0, 91), (4.0, 155), (5.0, 160)):
        watermark_history.add(seen(until), at)
    assert watermark_history.first_ready(hour(0), HALF) == 2.0
    assert watermark_history.first_ready(hour(0), timedelta(0)) == 2.0, "earlier entries are removed"
    assert watermark_history.first_ready(hour(1), HALF) == 4.0


def test_windows_of_one_poll_share_its_time() -> None:
    watermark_history = WatermarkHistory()
    watermark_history.add(seen(1000), 7.0)
    assert {watermark_history.first_ready(hour(number), HALF) for number in range(10)} == {7.0}


def test_window_never_seen_ready_raises() -> None:
    watermark_history = WatermarkHistory()
    watermark_history.add(seen(80), 1.0)
    with pytest.raises(LookupError, match="ends at 2026-01-01T01:00:00"):
        watermark_history.first_ready(hour(0), HALF)


def test_history_is_bounded() -> None:
    watermark_history = WatermarkHistory()
    for at in range(MAX_ENTRIES + 5):
        watermark_history.add(seen(100 + at), float(at))
    assert watermark_history.first_ready(hour(0), HALF) == 5.0
