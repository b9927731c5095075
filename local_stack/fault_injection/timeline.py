"""When injected rows happen, in event time, so that the windows of drift fill and can be judged at once. Pure.

Drift cuts a generation's rows into windows from its first row on, and judges a window when predictions have reached its end, its
outcomes are due, and, where outcomes stay away, one more window length has passed. Whoever sends rows of the present waits days
for that. Rehearsals send rows of the past instead, after whatever the lake already holds:

    first row ── windows on a grid ──▶ │ window: the injected rows │ ··· nothing ··· │ one last row, on the grid again
                                       start                      end   outcomes due  last

The stretch between is empty and drift passes over it in one step; the next rehearsal begins where the last row lies.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.contracts.loop_spec import Window

INSTANT = timedelta(microseconds=1)
# How often a fresh model can be rehearsed before the past is used up.
ROOM = 40
MOST_ROWS = 2000


@dataclass(frozen=True)
class Known:
    """What is known of a model's rows, in event time: the reference's first and last moment and its number of rows; the newest
    row in the lake; the first and the newest row of the generation served (None where the lake has none)."""

    reference_start: datetime
    reference_end: datetime
    reference_rows: int
    newest: datetime | None = None
    generation_first: datetime | None = None
    generation_newest: datetime | None = None


@dataclass(frozen=True)
class Timeline:
    """Rows happen in [start, end), evenly; `last` is the moment of the one row that makes them judgeable.

    `last` is None where the present comes first: then drift has to be asked for a verdict.
    """

    start: datetime
    end: datetime
    last: datetime | None

    def moments(self, count: int) -> list[datetime]:
        """`count` moments, in order, the first at `start`."""
        step = (self.end - self.start) / max(1, count)
        return [self.start + step * place for place in range(count)]


def rows_per_window(window: Window, known: Known) -> int:
    """As many rows as such a window usually has, enough to judge, and no more than are quickly sent."""
    if window.rows is not None:
        return 2 * window.rows  # wherever the last window ended, one whole window is new
    assert window.every is not None
    return max(2 * window.minimum_rows, min(MOST_ROWS, round(_density(known) * window.every.total_seconds())))


def plan(window: Window, delay: timedelta, known: Known, windows: int, now: datetime) -> Timeline:
    """Where `windows` windows of injected rows lie."""
    length = window.every or timedelta(seconds=2 * (window.rows or 0) / _density(known))
    needed = length * windows + delay + max(length, delay) + (window.every or timedelta(0))
    start = _start(window, known, needed, now)
    end = start + length * windows
    due = end + delay + max(length, delay)
    last = due if window.every is None else start + math.ceil((due - start) / window.every) * window.every
    if last <= now:
        return Timeline(start, end, last)
    # No room before the present: what is left of it, and a verdict on request.
    begin = max(known.newest or now - length, now - length)
    return Timeline(begin + INSTANT, max(now, begin + 2 * INSTANT), None)


def _start(window: Window, known: Known, needed: timedelta, now: datetime) -> datetime:
    first, newest = known.generation_first, known.generation_newest
    if first is not None and newest is not None and window.every is not None:
        on_grid = first + math.ceil((newest - first) / window.every) * window.every
        # Rows of another generation may lie later.
        late = known.newest or newest
        return on_grid + max(0, math.ceil((late - on_grid) / window.every)) * window.every
    if known.newest is not None:
        return known.newest + INSTANT
    return min(known.reference_end, now - ROOM * needed).replace(microsecond=0)


def _density(known: Known) -> float:
    """Rows a second of the reference."""
    span = (known.reference_end - known.reference_start).total_seconds()
    return known.reference_rows / span if span > 0 else 1.0
