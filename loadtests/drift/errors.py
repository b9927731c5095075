"""Labelled rows from a rise of the error rate to the alarm, at one false alarm per 10^6 rows at most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.drift.stream.error_detector import ErrorDetector
from services.drift.thresholds.count_limits import poisson_limit

BASE, BEFORE, AFTER, ROWS_BETWEEN_ALARMS = 0.1, 500, 8_000, 1e6
# Error rate after the change, and the most labelled rows that its detection may take in the median.
MAXIMUM_ROWS = {0.15: 800.0, 0.2: 200.0}
CLEAN_ROWS, SHORT_CLEAN_ROWS = 20_000_000, 5_000_000
# Of missing the bar by chance, if the stated rate is the true one.
CHANCE = 0.05


@dataclass(frozen=True)
class ErrorResult:
    """Median labelled rows to the alarm, over `runs` runs."""

    rate: float
    rows: float
    runs: int


def measure_errors(rate: float, *, runs: int, seed: int = 19) -> ErrorResult:
    """The error rate rises from 10 % to `rate` after 500 rows; the reference's error rate is known."""
    delays = []
    for run in range(runs):
        random = np.random.default_rng([seed, run])
        losses = np.concatenate([random.random(BEFORE) < BASE, random.random(AFTER) < rate]).astype(float)
        alarm = ErrorDetector(BASE, ROWS_BETWEEN_ALARMS, errors=True).add(losses)
        delays.append(float("inf") if alarm is None else alarm.row - BEFORE + 1)
    return ErrorResult(rate, float(np.median(delays)), runs)


def most_false_alarms(rows: int) -> int:
    """More false alarms than that show a rate above the stated one (Poisson, one-sided). By design the rate is the stated one, so
    their number is above the expected one in about two of five runs.

    >>> most_false_alarms(5_000_000), most_false_alarms(20_000_000)
    (9, 28)
    """
    return poisson_limit(rows / ROWS_BETWEEN_ALARMS, CHANCE)


def count_false_alarms(rows: int = CLEAN_ROWS, seed: int = 23) -> int:
    """False alarms in `rows` rows at 10 % errors."""
    random, detector, alarms = (
        np.random.default_rng(seed),
        ErrorDetector(BASE, ROWS_BETWEEN_ALARMS, errors=True),
        0,
    )
    for _ in range(rows // 10_000):
        # After an alarm the rest of the part is not counted: at most 10,000 rows of millions.
        alarms += detector.add((random.random(10_000) < BASE).astype(float)) is not None
    return alarms
