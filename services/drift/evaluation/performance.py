"""Realised performance: the loss of a window, and the threshold that it may not exceed. docs/statistics.md lists the sources."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from shared.models.losses import MetricName, in_unit

Floats = npt.NDArray[np.float64]

BLOCKS = 10


@dataclass(frozen=True)
class Loss:
    """Mean loss of `rows` rows in the metric's unit, with the standard error from `blocks` blocks of time."""

    value: float
    error: float
    rows: int
    blocks: int


def measure_loss(metric: MetricName, losses: Floats) -> Loss | None:
    """Loss over the rows, in time order, that have one (`row_losses`; NaN: no answer or no outcome); None if there are none.

    Rows close in time are correlated, so the standard error is that of `BLOCKS` batch means (Schmeiser 1982), and never less than
    for independent rows. For rmse it is carried from the mean square to its root by the delta method (Casella and Berger
    2002, section 5.5.4).

    >>> rng = np.random.default_rng(11)
    >>> loss = measure_loss("mae", np.abs(rng.normal(size=1_000)))
    >>> round(loss.value, 2), round(loss.error, 3), loss.rows, loss.blocks  # E|N(0, 1)| = 0.80
    (0.8, 0.019, 1000, 10)
    >>> loss = measure_loss("mae", np.abs(np.repeat(rng.normal(size=20), 50)))  # twenty independent values
    >>> round(loss.error, 2)
    0.24
    """
    losses = losses[np.isfinite(losses)]
    if losses.size == 0:
        return None
    mean = float(losses.mean())
    blocks = min(BLOCKS, losses.size)
    if blocks < 2:
        return Loss(in_unit(metric, mean), math.inf, int(losses.size), blocks)
    means = np.array([block.mean() for block in np.array_split(losses, blocks)])
    error = max(
        float(means.std(ddof=1)) / math.sqrt(blocks), float(losses.std(ddof=1)) / math.sqrt(losses.size)
    )
    if metric == "rmse" and mean > 0:
        error /= 2 * math.sqrt(mean)
    return Loss(in_unit(metric, mean), error, int(losses.size), blocks)


def loss_threshold(window: Loss, reference: Loss, increase: float, alpha: float) -> float:
    """Threshold of the window's loss: the reference's loss, plus the tolerated `increase`, plus a one-sided t interval.

    The two standard errors differ and come from few blocks: Welch's t with the degrees of freedom of Welch (1947) and
    Satterthwaite (1946).

    >>> window, reference = Loss(0.60, 0.01, 1_000, 10), Loss(0.50, 0.01, 5_000, 10)
    >>> round(loss_threshold(window, reference, increase=0.02, alpha=0.01), 4)  # 0.52 + 0.01 √2 t(0.99; 18)
    0.5561
    """
    error = math.hypot(window.error, reference.error)
    if error == 0:
        return reference.value + increase
    if not math.isfinite(error):
        return math.inf
    denominator = window.error**4 / (window.blocks - 1) + reference.error**4 / (reference.blocks - 1)
    degrees = error**4 / denominator if denominator > 0 else float(window.blocks - 1)
    return reference.value + increase - error * float(stdtrit(degrees, alpha))
