"""Where injected rows lie in event time: whole windows, judgeable at once, never later than now."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from local_stack.fault_injection.timeline import EventRange, closing_gap, plan, rows_per_window
from shared.contracts.loop_spec import Window

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
DAY = timedelta(days=1)
DELAY = 3 * DAY
KNOWN = EventRange(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 31, tzinfo=UTC), 6000)
DAILY = Window.model_validate({"every": "1d", "minimum_rows": 200})


def test_first_scenario_begins_after_the_reference() -> None:
    timeline = plan(DAILY, DELAY, KNOWN, 1, NOW, with_outcomes=True)
    assert timeline.start <= KNOWN.reference_end
    assert timeline.end - timeline.start == DAY
    # The window's outcomes are due.
    assert timeline.last == timeline.start + 4 * DAY


def test_without_outcomes_the_last_row_ends_the_wait() -> None:
    timeline = plan(DAILY, DELAY, KNOWN, 1, NOW, with_outcomes=False)
    assert timeline.last == timeline.start + 7 * DAY


@pytest.mark.parametrize(("delay", "days"), [(timedelta(0), 1), (timedelta(hours=1), 2), (1.5 * DAY, 3)])
def test_last_row_lies_on_the_grid(delay: timedelta, days: int) -> None:
    timeline = plan(DAILY, delay, KNOWN, 1, NOW, with_outcomes=True)
    assert timeline.last == timeline.start + days * DAY
    assert timeline.last - delay - timeline.end == closing_gap(DAILY, delay, KNOWN)


def test_recent_reference_leaves_room_for_scenarios() -> None:
    known = replace(KNOWN, reference_end=NOW - DAY)
    for _ in range(30):
        timeline = plan(DAILY, DELAY, known, 1, NOW, with_outcomes=True)
        assert timeline.last is not None
        known = replace(
            known,
            newest=timeline.last,
            generation_first=known.generation_first or timeline.start,
            generation_newest=timeline.last,
        )


def test_next_scenario_begins_at_the_last_row() -> None:
    first = plan(DAILY, DELAY, KNOWN, 1, NOW, with_outcomes=True)
    known = replace(KNOWN, newest=first.last, generation_first=first.start, generation_newest=first.last)
    assert plan(DAILY, DELAY, known, 1, NOW, with_outcomes=True).start == first.last


def test_windows_align_with_the_generation() -> None:
    first = datetime(2026, 3, 1, 7, 30, tzinfo=UTC)
    newest = first + 2.4 * DAY
    known = replace(KNOWN, newest=newest, generation_first=first, generation_newest=newest)
    timeline = plan(DAILY, DELAY, known, 2, NOW, with_outcomes=True)
    assert timeline.start == first + 3 * DAY
    assert timeline.end == first + 5 * DAY
    assert timeline.last is not None
    assert (timeline.last - first) % DAY == timedelta(0)


def test_grid_with_fractions_of_a_millisecond_closes_one_window_later() -> None:
    """The watermarks are cut to milliseconds: at the same place on the grid they would stay below the end."""
    first = datetime(2026, 3, 1, 7, 30, 0, 1, tzinfo=UTC)
    known = replace(KNOWN, newest=first, generation_first=first, generation_newest=first)
    assert plan(DAILY, DELAY, known, 1, NOW, with_outcomes=True).last == first + 5 * DAY
    window = Window.model_validate({"rows": 500})
    timeline = plan(window, DELAY, KNOWN, 1, NOW, with_outcomes=True)
    assert timeline.last == timeline.end + DELAY + timedelta(milliseconds=1)


def test_new_generation_has_a_grid_without_fractions() -> None:
    newest = datetime(2026, 5, 1, 0, 0, 0, 250_001, tzinfo=UTC)
    timeline = plan(DAILY, DELAY, replace(KNOWN, newest=newest), 1, NOW, with_outcomes=True)
    assert timeline.start == datetime(2026, 5, 1, 0, 0, 1, tzinfo=UTC)


def test_new_generation_begins_after_older_rows() -> None:
    newest = datetime(2026, 5, 1, tzinfo=UTC)
    assert plan(DAILY, DELAY, replace(KNOWN, newest=newest), 1, NOW, with_outcomes=True).start > newest


def test_rows_of_the_present_have_no_last_row() -> None:
    newest = NOW - timedelta(minutes=5)
    known = replace(KNOWN, newest=newest, generation_first=newest, generation_newest=newest)
    timeline = plan(DAILY, DELAY, known, 1, NOW, with_outcomes=True)
    assert timeline.last is None
    assert newest < timeline.start < timeline.end <= NOW
    assert all(newest < event_time <= NOW for event_time in timeline.event_times(100))


def test_row_windows_contain_one_complete_window() -> None:
    window = Window.model_validate({"rows": 500})
    assert rows_per_window(window, KNOWN) == 1000
    timeline = plan(window, DELAY, KNOWN, 1, NOW, with_outcomes=True)
    assert timeline.last is not None
    assert timeline.last >= timeline.end + DELAY
    assert timeline.last <= NOW


def test_rows_per_window_are_bounded() -> None:
    assert rows_per_window(DAILY, KNOWN) == 400
    assert rows_per_window(DAILY, replace(KNOWN, reference_rows=30_000)) == 1000
    assert rows_per_window(DAILY, replace(KNOWN, reference_rows=3_000_000)) == 2000


def test_event_times_are_ordered_and_inside_the_window() -> None:
    timeline = plan(DAILY, DELAY, KNOWN, 1, NOW, with_outcomes=True)
    event_times = timeline.event_times(7)
    assert event_times == sorted(set(event_times))
    assert event_times[0] == timeline.start
    assert event_times[-1] < timeline.end
