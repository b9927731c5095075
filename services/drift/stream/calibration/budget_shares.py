"""Shares of the false-alarm budget: from what each kind may use up to its threshold, in nats. `thresholds.py` measures how many
statistics of each kind there are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta

from services.drift.thresholds.alarm_budget import MONTH

# Shares of the budget. What is bounded without simulation, faults, is hardly ever used up and gets little.
FEATURE_SHARE = 0.65
MANY_COLUMNS_SHARE = 0.1
PREDICTION_SHARE = 0.2
DATA_SHARE = 0.05


@dataclass(frozen=True)
class Thresholds:
    """Evidence, in nats, at which a statistic of each kind alarms."""

    feature: float
    prediction: float
    many_columns: float
    data: float


@dataclass(frozen=True)
class Statistics:
    """Effective number of statistics of each kind: they cross h this many times exp(-h) per tile (`thresholds.py`)."""

    feature: float
    prediction: float
    many_columns: float
    data: float


def thresholds(statistics: Statistics, rate: float) -> Thresholds:
    """Thresholds such that `rate` false alarms are expected per tile; rates add up, which is an upper bound (Boole's inequality).

    A kind without statistics leaves its share to the others.

    >>> found = thresholds(Statistics(feature=36, prediction=1, many_columns=0.2, data=300), rate=1 / 43_200)
    >>> round(found.feature, 1), round(found.prediction, 1), round(found.many_columns, 1), round(found.data, 1)
    (14.7, 12.3, 11.4, 19.4)
    """
    shares = (
        (statistics.feature, FEATURE_SHARE),
        (statistics.prediction, PREDICTION_SHARE),
        (statistics.many_columns, MANY_COLUMNS_SHARE),
    )
    used = sum(share for count, share in shares if count) or 1.0
    found = [math.log((count or 1.0) / (rate * share / used * (1 - DATA_SHARE))) for count, share in shares]
    data = math.log(max(1.0, statistics.data) / (DATA_SHARE * rate))
    return Thresholds(found[0], found[1], found[2], data)


def tile_rate(false_alarms_per_30_days: float, tile: timedelta) -> float:
    """Expected false alarms per tile that the budget allows; at most one in four tiles."""
    return min(0.25, false_alarms_per_30_days * (tile / MONTH))
