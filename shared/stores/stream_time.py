"""The time of a model's stream, and which rows may move it. Pure.

A row is `ahead` if its time is more than the bound after the newest time so far, and `behind` if it is more than the bound before
it. Rows of neither kind are ordinary, and only they move the newest time. So one wrong clock, or one request without
`event_time` in a replay of history, cannot end all windows of its model. Two rules keep a stream that has really moved on from
stopping:

1. Live rows, which arrive within the bound of their own time, may follow live rows after any silence.
2. Rows ahead become the stream when CONFIRMING_ROWS of at least CONFIRMING_REQUESTS requests lie within the bound of one
   another, and no ordinary row has come between them.

What is decided depends on the rows and their order alone.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

Times = npt.NDArray[np.int64]
Marks = npt.NDArray[np.int8]

CONFIRMING_ROWS: Final = 1000
CONFIRMING_REQUESTS: Final = 100
AHEAD: Final = 1
BEHIND: Final = -1


@dataclass(frozen=True)
class StreamTime:
    """`newest`: time of the newest ordinary row (µs since 1970); None before the first. `lag`: from that time until the row came.

    `streak_rows`, `streak_requests`: rows ahead since the last ordinary row, and their requests; `streak_newest` is their newest
    time, `streak_arrival` the last arrival.
    """

    newest: int | None = None
    lag: int = 0
    streak_rows: int = 0
    streak_requests: int = 0
    streak_newest: int = 0
    streak_arrival: int = 0


def to_array(time: StreamTime) -> Times:
    """For a snapshot."""
    return np.array([time.newest is not None, *(value or 0 for value in astuple(time))], np.int64)


def of_array(stored: Times) -> StreamTime:
    """From a snapshot. Raises ValueError, TypeError."""
    known, newest, *rest = (int(value) for value in stored)
    return StreamTime(newest if known else None, *rest)


def mark_rows(time: StreamTime, times: Times, arrivals: Times, bound: int) -> tuple[Marks, StreamTime]:
    """Of each row, in order of arrival, AHEAD, BEHIND or 0; and the stream's time after them. All in microseconds.

    >>> marks, after = mark_rows(StreamTime(100), np.array([101, 999, 102, 1]), np.array([500, 501, 502, 503]), 50)
    >>> marks.tolist(), after.newest
    ([0, 1, 0, -1], 102)
    """
    if times.size == 0:
        return np.zeros(0, np.int8), time
    start = int(times[0]) if time.newest is None else time.newest
    if int(times.max()) > start + bound:
        return _mark_one_by_one(time, times, arrivals, bound)
    newest = np.maximum.accumulate(np.maximum(times, start))
    marks = np.where(times < newest - bound, BEHIND, 0).astype(np.int8)
    if time.newest is None or int(newest[-1]) > time.newest:
        place = int(np.argmax(times))
        return marks, StreamTime(int(times[place]), int(arrivals[place] - times[place]))
    return marks, StreamTime(time.newest, time.lag) if bool((marks == 0).any()) else time


def _mark_one_by_one(time: StreamTime, times: Times, arrivals: Times, bound: int) -> tuple[Marks, StreamTime]:
    marks = np.zeros(times.size, np.int8)
    for row, (moment, arrival) in enumerate(zip(times.tolist(), arrivals.tolist(), strict=True)):
        lag = arrival - moment
        if time.newest is not None and moment < time.newest - bound:
            marks[row] = BEHIND
            continue
        if time.newest is None or moment <= time.newest + bound or max(time.lag, lag) <= bound:
            is_newer = time.newest is None or moment > time.newest
            time = StreamTime(moment, lag) if is_newer else StreamTime(time.newest, time.lag)
            continue
        time = _with_streak(time, moment, arrival, bound)
        if time.streak_rows >= CONFIRMING_ROWS and time.streak_requests >= CONFIRMING_REQUESTS:
            time = StreamTime(time.streak_newest, arrival - time.streak_newest)
        else:
            marks[row] = AHEAD
    return marks, time


def _with_streak(time: StreamTime, moment: int, arrival: int, bound: int) -> StreamTime:
    if time.streak_rows and abs(moment - time.streak_newest) <= bound:
        return replace(
            time,
            streak_rows=time.streak_rows + 1,
            streak_requests=time.streak_requests + (arrival != time.streak_arrival),
            streak_newest=max(time.streak_newest, moment),
            streak_arrival=arrival,
        )
    return replace(time, streak_rows=1, streak_requests=1, streak_newest=moment, streak_arrival=arrival)
