from __future__ import annotations

from datetime import timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from services.drift.windows import (
    Span,
    last_complete,
    skip_empty,
    window_by_rows,
    window_by_time,
)
from shared.contracts.event_time import to_micros
from tests.unit.services.drift.world import minutes

HOUR = timedelta(hours=1)


def test_window_by_time_starts_at_the_given_time() -> None:
    assert window_by_time(minutes(7), HOUR) == Span(minutes(7), minutes(67))


def test_a_window_of_rows_ends_just_after_its_last_row() -> None:
    times = np.array([to_micros(minutes(place)) for place in range(5)])
    span = window_by_rows(times, 3)
    assert span == Span(minutes(0), minutes(2) + timedelta(microseconds=1))


def test_rows_with_equal_times_are_never_split() -> None:
    times = np.array([to_micros(minutes(0))] * 2 + [to_micros(minutes(1))] * 4 + [to_micros(minutes(2))])
    span = window_by_rows(times, 3)
    assert span is not None
    assert int(((times >= to_micros(span.start)) & (times < to_micros(span.end))).sum()) == 6


def test_too_few_rows_make_no_window() -> None:
    assert window_by_rows(np.array([1, 2], dtype=np.int64), 3) is None
    assert window_by_rows(np.empty(0, dtype=np.int64), 3) is None


def test_gap_is_skipped_in_one_step_on_the_grid() -> None:
    assert skip_empty(minutes(7), HOUR, minutes(7 + 60 * 1000 + 59)) == minutes(7 + 60 * 1000)
    assert skip_empty(minutes(7), HOUR, minutes(0)) == minutes(7)


def test_the_last_complete_window_lies_on_the_grid() -> None:
    assert last_complete(minutes(7), HOUR, minutes(186.9)) == Span(minutes(67), minutes(127))
    assert last_complete(minutes(7), HOUR, minutes(187)) == Span(minutes(127), minutes(187))
    assert last_complete(minutes(7), HOUR, minutes(66)) is None


@given(
    st.lists(st.integers(min_value=0, max_value=200), min_size=1, max_size=120),
    st.integers(min_value=1, max_value=20),
)
def test_windows_by_rows_cover_the_rows_without_gap_or_overlap(moments: list[int], rows: int) -> None:
    times = np.sort(np.array(moments, dtype=np.int64))
    taken = 0
    rest = times
    while (span := window_by_rows(rest, rows)) is not None:
        inside = (times >= to_micros(span.start)) & (times < to_micros(span.end))
        assert int(inside.sum()) >= rows
        taken += int(inside.sum())
        rest = times[times >= to_micros(span.end)]
    assert taken + rest.size == times.size
    assert rest.size < rows


@given(
    st.integers(min_value=0, max_value=10_000),
    st.integers(min_value=1, max_value=500),
    st.integers(min_value=0, max_value=10_000),
)
def test_skipped_gap_ends_in_the_window_of_the_next_row(start: int, every: int, row: int) -> None:
    length, next_row = timedelta(minutes=every), minutes(start + row)
    span = window_by_time(skip_empty(minutes(start), length, next_row), length)
    assert span.start <= next_row < span.end
    assert (span.start - minutes(start)) % length == timedelta(0)
