"""Where injected rows lie in event time: whole windows, judgeable at once, never later than now."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from local_stack.fault_injection.timeline import Known, plan, rows_per_window
from shared.contracts.loop_spec import Window

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
DAY = timedelta(days=1)
DELAY = 3 * DAY
KNOWN = Known(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 31, tzinfo=UTC), 6000)
DAILY = Window.model_validate({"every": "1d", "minimum_rows": 200})


def test_a_fresh_model_begins_after_its_reference() -> None:
    timeline = plan(DAILY, DELAY, KNOWN, 1, NOW)
    assert timeline.start <= KNOWN.reference_end
    assert timeline.end - timeline.start == DAY
    # The window's outcomes are due and, should they stay away, waited for long enough.
    assert timeline.last == timeline.start + 7 * DAY


def test_a_reference_of_yesterday_leaves_room_for_many_rehearsals() -> None:
    known = replace(KNOWN, reference_end=NOW - DAY)
    for _ in range(30):
        timeline = plan(DAILY, DELAY, known, 1, NOW)
        assert timeline.last is not None
        known = replace(
            known,
            newest=timeline.last,
            generation_first=known.generation_first or timeline.start,
            generation_newest=timeline.last,
        )


def test_the_next_rehearsal_begins_where_the_last_row_lies() -> None:
    first = plan(DAILY, DELAY, KNOWN, 1, NOW)
    known = replace(KNOWN, newest=first.last, generation_first=first.start, generation_newest=first.last)
    assert plan(DAILY, DELAY, known, 1, NOW).start == first.last


def test_windows_lie_on_the_generation_s_own_grid() -> None:
    first = datetime(2026, 3, 1, 7, 30, tzinfo=UTC)
    newest = first + 2.4 * DAY
    known = replace(KNOWN, newest=newest, generation_first=first, generation_newest=newest)
    timeline = plan(DAILY, DELAY, known, 2, NOW)
    assert timeline.start == first + 3 * DAY
    assert timeline.end == first + 5 * DAY
    assert timeline.last is not None
    assert (timeline.last - first) % DAY == timedelta(0)


def test_a_new_generation_begins_after_the_one_before() -> None:
    newest = datetime(2026, 5, 1, tzinfo=UTC)
    assert plan(DAILY, DELAY, replace(KNOWN, newest=newest), 1, NOW).start > newest


def test_without_a_past_the_rows_are_of_now_and_a_verdict_is_asked_for() -> None:
    newest = NOW - timedelta(minutes=5)
    known = replace(KNOWN, newest=newest, generation_first=newest, generation_newest=newest)
    timeline = plan(DAILY, DELAY, known, 1, NOW)
    assert timeline.last is None
    assert newest < timeline.start < timeline.end <= NOW
    assert all(newest < moment <= NOW for moment in timeline.moments(100))


def test_windows_by_rows_get_a_whole_one_wherever_the_last_ended() -> None:
    window = Window.model_validate({"rows": 500})
    assert rows_per_window(window, KNOWN) == 1000
    timeline = plan(window, DELAY, KNOWN, 1, NOW)
    assert timeline.last is not None
    assert timeline.last >= timeline.end + DELAY
    assert timeline.last <= NOW


def test_a_window_has_rows_enough_to_be_judged_and_not_too_many_to_send() -> None:
    assert rows_per_window(DAILY, KNOWN) == 400
    assert rows_per_window(DAILY, replace(KNOWN, reference_rows=30_000)) == 1000
    assert rows_per_window(DAILY, replace(KNOWN, reference_rows=3_000_000)) == 2000


def test_moments_are_in_order_and_inside_the_window() -> None:
    timeline = plan(DAILY, DELAY, KNOWN, 1, NOW)
    moments = timeline.moments(7)
    assert moments == sorted(set(moments))
    assert moments[0] == timeline.start
    assert moments[-1] < timeline.end
