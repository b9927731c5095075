"""The next window of a generation. Pure; event time throughout. When it can be evaluated: outcome_readiness.py.

A generation (one entry of the release log) has windows of its own, tumbling from its first answered row, so that each window
holds one version only. Rows of another generation that fall into the same time (a swap drains for a moment) belong to that
generation's windows. Rows after a generation's last complete window, before it was replaced, are not evaluated: nobody would
act on it. Until a generation's first window is evaluated, its model is `warming_up`.

Each window gives exactly one verdict on features, prediction, data and performance together. But of a time without rows (a gap)
only the first window has a verdict, `insufficient_data`: the others would repeat it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

from shared.contracts.event_time import INSTANT, from_micros


@dataclass(frozen=True)
class Span:
    """An interval of event time: `start` inclusive, `end` exclusive."""

    start: datetime
    end: datetime

    @property
    def length(self) -> timedelta:
        """Event time covered."""
        return self.end - self.start


def window_by_time(start: datetime, every: timedelta) -> Span:
    """The window of length `every` that begins at `start`."""
    return Span(start, start + every)


def window_by_rows(times: npt.NDArray[np.int64], rows: int) -> Span | None:
    """The window over the first `rows` of the ascending event times (µs since 1970); None while there are fewer.

    Rows with equal event times are never split: the window includes all rows of its last time, so it may hold a few more.
    """
    if times.size < rows:
        return None
    return Span(from_micros(int(times[0])), from_micros(int(times[rows - 1])) + INSTANT)


def skip_empty(start: datetime, every: timedelta, moment: datetime) -> datetime:
    """The window that holds `moment`, on the grid of `every` from `start`: a gap is skipped in one step."""
    return start + max(0, (moment - start) // every) * every


def last_complete(first: datetime, every: timedelta, watermark: datetime) -> Span | None:
    """The last window of the grid from `first` that ends at or before `watermark`; None where there is none yet."""
    whole = (watermark - first) // every
    return window_by_time(first + (whole - 1) * every, every) if whole >= 1 else None
