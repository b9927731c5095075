"""Which rows may move the time of a stream."""

from __future__ import annotations

import numpy as np
import pytest

from shared.stores.stream_time import (
    AHEAD,
    BEHIND,
    CONFIRMING_REQUESTS,
    CONFIRMING_ROWS,
    StreamTime,
    mark_rows,
)

DAY = 86_400_000_000
YEAR = 365 * DAY
BOUND = 30 * DAY
NOW = 56 * YEAR  # 2025
THEN = 43 * YEAR  # a replay of 2012


def marked(
    time: StreamTime, times: list[int], arrivals: list[int] | None = None
) -> tuple[list[int], StreamTime]:
    came = [NOW + row for row in range(len(times))] if arrivals is None else arrivals
    marks, after = mark_rows(time, np.array(times, np.int64), np.array(came, np.int64), BOUND)
    return marks.tolist(), after


def test_the_first_row_begins_the_stream_and_late_rows_leave_it() -> None:
    assert marked(StreamTime(), [THEN, THEN - DAY, THEN + DAY]) == (
        [0, 0, 0],
        StreamTime(THEN + DAY, NOW + 2 - THEN - DAY),
    )


def test_rows_far_off_do_not_move_it() -> None:
    times = [THEN + DAY, NOW, THEN + 2 * DAY, THEN - YEAR, THEN + 32 * DAY, THEN + 63 * DAY]
    marks, after = marked(StreamTime(THEN, NOW - THEN), times)
    assert marks == [0, AHEAD, 0, BEHIND, 0, AHEAD]
    assert after.newest == THEN + 32 * DAY


def test_live_rows_follow_live_rows_after_any_silence() -> None:
    marks, after = marked(StreamTime(NOW - YEAR, DAY), [NOW, NOW + DAY], [NOW + DAY, NOW + 2 * DAY])
    assert marks == [0, 0]
    assert after.newest == NOW + DAY
    assert marked(StreamTime(THEN, YEAR), [NOW])[0] == [AHEAD], "the stream was a replay"
    assert marked(StreamTime(NOW - YEAR, 0), [NOW], [NOW + YEAR])[0] == [AHEAD], "the row is not live"


def test_a_stream_that_has_moved_on_is_followed() -> None:
    stream = StreamTime(THEN, NOW - THEN)
    requests = CONFIRMING_REQUESTS
    rows = CONFIRMING_ROWS // requests
    arrivals = [NOW + request for request in range(requests) for _ in range(rows)]
    marks, after = marked(stream, [THEN + YEAR] * (requests * rows), arrivals)
    assert marks == [AHEAD] * (CONFIRMING_ROWS - 1) + [0]
    assert after == StreamTime(THEN + YEAR, arrivals[-1] - THEN - YEAR)


@pytest.mark.parametrize("chunk", [1, 7, 1999, 4000])
def test_what_is_decided_does_not_depend_on_how_rows_are_grouped(chunk: int) -> None:
    random = np.random.default_rng(5)
    times = THEN + np.sort(random.integers(0, 400, 4000)) * DAY
    times[::9] = NOW
    times[1000:2300] += 2 * YEAR
    times[random.integers(0, 4000, 200)] -= YEAR
    arrivals = NOW + np.arange(4000, dtype=np.int64) // 3
    whole, last = mark_rows(StreamTime(THEN, NOW - THEN), times, arrivals, BOUND)
    time, parts = StreamTime(THEN, NOW - THEN), []
    for start in range(0, 4000, chunk):
        marks, time = mark_rows(time, times[start : start + chunk], arrivals[start : start + chunk], BOUND)
        parts += marks.tolist()
    assert parts == whole.tolist()
    assert time == last


def test_strays_between_ordinary_rows_never_become_the_stream() -> None:
    times = [THEN + row // 2 if row % 2 else NOW for row in range(6 * CONFIRMING_ROWS)]
    marks, after = marked(StreamTime(THEN, NOW - THEN), times)
    assert marks[::2] == [AHEAD] * (3 * CONFIRMING_ROWS)
    assert after.newest == THEN + 3 * CONFIRMING_ROWS - 1


def test_one_large_request_is_not_a_stream() -> None:
    count = 2 * CONFIRMING_ROWS
    marks, after = marked(StreamTime(THEN, NOW - THEN), [NOW] * count, [NOW] * count)
    assert marks == [AHEAD] * count
    assert after.newest == THEN


def test_rows_far_from_one_another_confirm_nothing() -> None:
    times = [THEN + (1 + row % 2) * YEAR for row in range(3 * CONFIRMING_ROWS)]
    marks, _ = marked(StreamTime(THEN, NOW - THEN), times)
    assert set(marks) == {AHEAD}
