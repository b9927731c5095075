"""What repeated attempts on the same rows cost: each later one needs more confidence. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime

Interval = tuple[datetime, datetime]


def attempt_confidence(confidence: float, attempt: int) -> float:
    """The confidence that attempt number `attempt`, from 1, needs.

    Attempt k spends alpha * 6 / (pi^2 k^2) of alpha = 1 - confidence, and the first alone all of it: a single run is no
    repetition. The spending of the others sums to alpha * (1 - 6 / pi^2) < 0.4 alpha. So the attempts of one set whose holdouts
    all share rows with each other spend less than 1.4 alpha together; holdouts that slide on make further sets, and each has
    this bound of its own. A union bound holds however the attempts depend on each other: Foster and Stine, Alpha-investing,
    Journal of the Royal Statistical Society B 70 (2008), section 2, with the series of Demets and Lan, Interim analysis: the
    alpha spending function approach, Statistics in Medicine 13 (1994).

    >>> [round(attempt_confidence(0.9, attempt), 4) for attempt in (1, 2, 3, 10)]
    [0.9, 0.9848, 0.9932, 0.9994]
    """
    alpha = 1 - confidence
    return 1 - alpha if attempt <= 1 else 1 - alpha * 6 / (math.pi * attempt) ** 2


def attempt_number(holdout: Interval, earlier: Iterable[Interval]) -> int:
    """1, and one more for each earlier holdout that shares event time with this one.

    The ends are the event times of a holdout's first and last row, both included. So holdouts that touch share the rows of
    that moment, such as a whole batch with one time stamp.

    >>> day = [datetime(2026, 1, number) for number in range(1, 7)]
    >>> attempt_number((day[2], day[4]), [(day[0], day[1]), (day[1], day[2]), (day[3], day[5])])
    3
    """
    return 1 + sum(start <= holdout[1] and holdout[0] <= end for start, end in earlier)
