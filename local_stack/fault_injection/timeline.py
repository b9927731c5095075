"""Event times of injected rows, chosen so that windows fill and can be evaluated at once. Pure.

Drift divides a generation's rows into windows, starting at its first row. It evaluates a window once predictions have reached its
end and its outcomes are due; if outcomes are missing, one window length later. With present event times that would take days.
So injected rows get event times in the past, after all rows that the lake already holds. With outcomes, the last row lies no
later than it must: a run counts its holdout back from there, and rows that lie further back are no part of it.

    first row ── windows on a grid ──▶ │ window: the injected rows │ ··· nothing ··· │ one last row, on the grid again
                                       start                      end   outcomes due  last

The gap is empty, and drift skips it in one step. The next scenario begins at the last row.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.contracts.loop_spec import Window

INSTANT = timedelta(microseconds=1)
# Drift reads the newest event times from statistics that are cut to milliseconds.
STATISTICS = timedelta(milliseconds=1)
# Number of scenarios that fit between the reference and the present.
ROOM = 40
MAX_ROWS = 2000


@dataclass(frozen=True)
class EventRange:
    """Event times of a model's rows: first and last of the reference, and its number of rows; the newest in the lake; the first
    and the newest of the served generation (None if the lake has none)."""

    reference_start: datetime
    reference_end: datetime
    reference_rows: int
    newest: datetime | None = None
    generation_first: datetime | None = None
    generation_newest: datetime | None = None


@dataclass(frozen=True)
class Timeline:
    """Rows are spread evenly over [start, end); `last` is the event time of the row that closes the last window.

    `last` is None if it would lie in the future: then an evaluation has to be requested.
    """

    start: datetime
    end: datetime
    last: datetime | None

    def event_times(self, count: int) -> list[datetime]:
        """`count` event times in order, the first at `start`."""
        step = (self.end - self.start) / max(1, count)
        return [self.start + step * place for place in range(count)]


def rows_per_window(window: Window, event_range: EventRange) -> int:
    """The usual number of rows in such a window, at least enough for an evaluation and at most MAX_ROWS."""
    if window.rows is not None:
        return 2 * window.rows  # one complete window is new, wherever the last one ended
    assert window.every is not None
    return max(
        2 * window.minimum_rows, min(MAX_ROWS, round(_density(event_range) * window.every.total_seconds()))
    )


def window_length(window: Window, event_range: EventRange) -> timedelta:
    """The event time that the rows of one window take."""
    return window.every or timedelta(seconds=2 * (window.rows or 0) / _density(event_range))


def closing_gap(window: Window, delay: timedelta, event_range: EventRange) -> timedelta:
    """How much later than `delay` after the last window the row comes that closes it, if rows have outcomes.

    It lies on the grid, so that the next scenario begins with it, and no later than its statistics would show.
    """
    if window.every is None:
        return STATISTICS
    first = event_range.generation_first
    slack = STATISTICS if first is not None and first.microsecond % 1000 else timedelta(0)
    return -(delay + slack) % window.every + slack


def plan(
    window: Window,
    delay: timedelta,
    event_range: EventRange,
    windows: int,
    now: datetime,
    *,
    with_outcomes: bool,
) -> Timeline:
    """The event times of `windows` windows of injected rows. `with_outcomes`: each row, also the last, gets an outcome."""
    length = window_length(window, event_range)
    wait = delay + (closing_gap(window, delay, event_range) if with_outcomes else max(length, delay))
    needed = length * windows + wait + (window.every or timedelta(0))
    start = _start(window, event_range, needed, now)
    end = start + length * windows
    due = end + wait
    last = due if window.every is None else start + math.ceil((due - start) / window.every) * window.every
    if last <= now:
        return Timeline(start, end, last)
    # Not enough time before the present: use what is left, and request an evaluation.
    begin = max(event_range.newest or now - length, now - length)
    return Timeline(begin + INSTANT, max(now, begin + 2 * INSTANT), None)


def _start(window: Window, event_range: EventRange, needed: timedelta, now: datetime) -> datetime:
    first, newest = event_range.generation_first, event_range.generation_newest
    if first is not None and newest is not None and window.every is not None:
        on_grid = first + math.ceil((newest - first) / window.every) * window.every
        # Rows of another generation may lie later.
        late = event_range.newest or newest
        return on_grid + max(0, math.ceil((late - on_grid) / window.every)) * window.every
    if event_range.newest is not None:
        return event_range.newest.replace(microsecond=0) + timedelta(seconds=1)  # a grid without fractions
    return min(event_range.reference_end, now - ROOM * needed).replace(microsecond=0)


def _density(event_range: EventRange) -> float:
    """Rows per second of the reference."""
    span = (event_range.reference_end - event_range.reference_start).total_seconds()
    return event_range.reference_rows / span if span > 0 else 1.0
