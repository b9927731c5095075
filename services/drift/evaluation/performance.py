"""Realised performance: the loss of a window, and how far above the reference's chance alone may put it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import stats

Floats = npt.NDArray[np.float64]
MetricName = Literal["log_loss", "brier", "mae", "rmse"]

# Scores of exactly 0 or 1 that are wrong must stay finite.
_EDGE = 1e-7
# So must numbers no unit explains: their squares, and the fourth powers of those below.
_FARTHEST = 1e30
BLOCKS = 10


@dataclass(frozen=True)
class Loss:
    """Mean loss of `rows` rows in the metric's unit; its standard error is from the spread between `blocks` stretches of time."""

    value: float
    error: float
    rows: int
    blocks: int


def row_losses(metric: MetricName, score: Floats, outcome: Floats) -> Floats:
    """Loss of each row; squared for rmse, whose root is taken over the mean."""
    score, outcome = np.clip(score, -_FARTHEST, _FARTHEST), np.clip(outcome, -_FARTHEST, _FARTHEST)
    if metric == "log_loss":
        sure = np.clip(score, _EDGE, 1 - _EDGE)
        result: Floats = -(outcome * np.log(sure) + (1 - outcome) * np.log1p(-sure))
        return result
    if metric == "mae":
        return np.abs(score - outcome)
    result = (score - outcome) ** 2
    return result


def measure_loss(metric: MetricName, score: Floats, outcome: Floats) -> Loss | None:
    """Loss over the rows, in time order, that have both a finite score and an outcome; None where there are none.

    Rows near in time share their fate, so the error comes from `BLOCKS` stretches; never less than independent rows would give.
    """
    known = np.isfinite(score) & np.isfinite(outcome)
    losses = row_losses(metric, score[known], outcome[known])
    if losses.size == 0:
        return None
    mean = float(losses.mean())
    blocks = min(BLOCKS, losses.size)
    if blocks < 2:
        return Loss(_in_unit(metric, mean), math.inf, int(losses.size), blocks)
    means = np.array([stretch.mean() for stretch in np.array_split(losses, blocks)])
    error = max(
        float(means.std(ddof=1)) / math.sqrt(blocks), float(losses.std(ddof=1)) / math.sqrt(losses.size)
    )
    if metric == "rmse" and mean > 0:
        error /= 2 * math.sqrt(mean)
    return Loss(_in_unit(metric, mean), error, int(losses.size), blocks)


def loss_limit(window: Loss, reference: Loss, increase: float, alarm_chance: float) -> float:
    """Greatest loss of the window that chance, on top of the reference's loss and the tolerated `increase`, explains."""
    error = math.hypot(window.error, reference.error)
    if error == 0:
        return reference.value + increase
    if not math.isfinite(error):
        return math.inf
    parts = window.error**4 / (window.blocks - 1) + reference.error**4 / (reference.blocks - 1)
    freedom = error**4 / parts if parts > 0 else float(window.blocks - 1)
    return reference.value + increase + error * float(stats.t.isf(alarm_chance, freedom))


def _in_unit(metric: MetricName, mean: float) -> float:
    return math.sqrt(mean) if metric == "rmse" else mean
