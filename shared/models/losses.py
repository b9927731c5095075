"""The loss of each row, by metric: the one definition that monitoring, the gate and the baseline comparison use. Pure."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
MetricName = Literal["log_loss", "brier", "mae", "rmse"]

# Log-loss is infinite for a wrong score of exactly 0 or 1. Scores are clipped to [1e-7, 1 - 1e-7], about the resolution of
# float32 near 1, so one such row costs 16.1 nats and the mean stays comparable between versions.
PROBABILITY_MARGIN = 1e-7
# The variance of squared losses needs fourth powers: beyond 1e30 these leave the range of float64.
MAX_MAGNITUDE = 1e30


def row_losses(metric: MetricName, scores: Floats, outcomes: Floats) -> Floats:
    """Loss of each row. For rmse it is the squared error; the metric is the root of its mean. Log-loss is in nats.

    log_loss: -(y ln p + (1 - y) ln(1 - p)) (Good 1952); brier: (p - y)² (Brier 1950); mae: |p - y|.

    >>> row_losses("log_loss", np.array([0.8, 0.0, 1.0]), np.array([1.0, 0.0, 0.0])).round(3)
    array([ 0.223,  0.   , 16.118])
    >>> row_losses("brier", np.array([0.8, 0.0]), np.array([1.0, 1.0])).round(3)
    array([0.04, 1.  ])
    """
    scores = np.clip(scores, -MAX_MAGNITUDE, MAX_MAGNITUDE)
    outcomes = np.clip(outcomes, -MAX_MAGNITUDE, MAX_MAGNITUDE)
    if metric == "log_loss":
        p = np.clip(scores, PROBABILITY_MARGIN, 1 - PROBABILITY_MARGIN)
        losses: Floats = -(outcomes * np.log(p) + (1 - outcomes) * np.log1p(-p))
        return losses
    if metric == "mae":
        return np.abs(scores - outcomes)
    losses = np.square(scores - outcomes)
    return losses
