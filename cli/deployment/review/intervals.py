"""How many rows an interval of event time holds, at the rate of given rows. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt

Times = npt.NDArray[np.int64]

# Lengths that a person would write into loop.yaml, ascending.
LENGTHS = tuple(
    [timedelta(minutes=minutes) for minutes in (1, 2, 5, 10, 15, 30)]
    + [timedelta(hours=hours) for hours in (1, 2, 3, 4, 6, 8, 12)]
    + [timedelta(days=days) for days in (1, 2, 3, 4, 7, 14, 30, 60, 90, 180, 365)]
)
# Most intervals: traffic that is low at night or on some days leaves others with enough rows.
MAJORITY = 0.75


@dataclass(frozen=True)
class IntervalRows:
    """Rows in each complete interval of one length; intervals without rows are left out, as they are in monitoring.

    `extrapolated`: the rows cover less time than one interval, and `counts` has one number at their rate.
    """

    counts: npt.NDArray[np.float64]
    extrapolated: bool = False

    @property
    def usual(self) -> int:
        """The median, rounded."""
        return round(float(np.median(self.counts)))

    def too_few(self, minimum: int) -> int:
        """Number of intervals with fewer rows than `minimum`."""
        return int(np.count_nonzero(self.counts < minimum))

    def mostly_too_few(self, minimum: int) -> bool:
        """Whether more than three quarters of the intervals have fewer rows than `minimum`."""
        return self.too_few(minimum) > MAJORITY * len(self.counts)


def interval_rows(times: Times, length: timedelta) -> IntervalRows | None:
    """Rows by interval of `length` from the first of the ascending `times` (µs) on; None if they cover no time.

    >>> hourly = np.arange(50) * 3_600_000_000
    >>> interval_rows(hourly, timedelta(days=1)).counts
    array([24., 24.])
    >>> interval_rows(hourly, timedelta(days=7)).usual  # 49 hours only: 50 rows × 168 / 49
    171
    """
    span = int(times[-1] - times[0]) if times.size else 0
    if not span:
        return None
    step = length // timedelta(microseconds=1)
    whole = span // step
    if not whole:
        return IntervalRows(np.array([times.size * step / span]), extrapolated=True)
    indices = (times - times[0]) // step
    counts = np.bincount(indices[indices < whole], minlength=whole).astype(np.float64)
    return IntervalRows(counts[counts > 0])


def sufficient_length(times: Times, minimum: int) -> timedelta | None:
    """The shortest of `LENGTHS` of which at least three quarters of the intervals have `minimum` rows; None if there is none.

    >>> sufficient_length(np.arange(1000) * 3_600_000_000, 40)
    datetime.timedelta(days=2)
    """
    for length in LENGTHS:
        found = interval_rows(times, length)
        if found is not None and found.too_few(minimum) <= (1 - MAJORITY) * len(found.counts):
            return length
    return None
