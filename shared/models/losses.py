"""The loss of each row, by metric: the one definition that monitoring, the gate and the baseline comparison use. Pure."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
# Classes: the probability of each class, [N, K]; values: the number of each name, [N, K]; as the model and the lake have them.
Scores = Floats | npt.NDArray[np.float32]
# The outcome of a row whose label is no class of the model: such a class has probability 0.
UNKNOWN_CLASS = -1.0
MetricName = Literal["log_loss", "error_rate", "brier", "mae", "rmse"]

# Log-loss is infinite for a wrong score of exactly 0 or 1. Scores are clipped to [1e-7, 1 - 1e-7], about the resolution of
# float32 near 1, so one such row costs 16.1 nats and the mean stays comparable between versions.
PROBABILITY_MARGIN = 1e-7
# The variance of squared losses needs fourth powers: beyond 1e30 these leave the range of float64.
MAX_MAGNITUDE = 1e30


def row_losses(metric: MetricName, scores: Scores, outcomes: Floats) -> Floats:
    """Loss of each row. For rmse it is the squared error; the metric is the root of its mean. Log-loss is in nats.

    One score per row, [N]: log_loss: -(y ln p + (1 - y) ln(1 - p)) (Good 1952); brier: (p - y)² (Brier 1950); mae: |p - y|.

    >>> row_losses("log_loss", np.array([0.8, 0.0, 1.0]), np.array([1.0, 0.0, 0.0])).round(3)
    array([ 0.223,  0.   , 16.118])
    >>> row_losses("brier", np.array([0.8, 0.0]), np.array([1.0, 1.0])).round(3)
    array([0.04, 1.  ])

    One probability per class, [N, K], and outcomes as indices of classes (NaN: not known): log_loss: -ln p of the true class
    (Good 1952); error_rate: 1 if the most probable class is not the true one (Hastie, Tibshirani, Friedman, The Elements of
    Statistical Learning, 2009, section 7.2).

    >>> probabilities = np.array([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3]])
    >>> row_losses("log_loss", probabilities, np.array([0.0, 2.0])).round(3)
    array([0.357, 1.204])
    >>> row_losses("error_rate", probabilities, np.array([0.0, 2.0]))
    array([0., 1.])

    One number per name, [N, K], and outcomes alike: the mean over the names, of |p - y| or of (p - y)², as scikit-learn's
    `multioutput="uniform_average"`. The metric rmse is the root of the mean over rows and names; scikit-learn's
    `root_mean_squared_error` is the mean of one root per name, which is no root of a mean over rows, so no interval covers it.

    >>> row_losses("mae", np.array([[1.0, 2.0], [0.0, 0.0]]), np.array([[2.0, 2.0], [0.0, np.nan]]))
    array([0.5, nan])
    """
    if scores.ndim == 2 and outcomes.ndim == 1:
        return _class_losses(metric, scores, outcomes)
    scores = np.clip(np.asarray(scores, dtype=np.float64), -MAX_MAGNITUDE, MAX_MAGNITUDE)
    outcomes = np.clip(outcomes, -MAX_MAGNITUDE, MAX_MAGNITUDE)
    if metric == "log_loss":
        p = np.clip(scores, PROBABILITY_MARGIN, 1 - PROBABILITY_MARGIN)
        losses: Floats = -(outcomes * np.log(p) + (1 - outcomes) * np.log1p(-p))
        return losses
    losses = np.abs(scores - outcomes) if metric == "mae" else np.square(scores - outcomes)
    return losses.mean(axis=1) if losses.ndim == 2 else losses


def in_unit(metric: MetricName, mean: float) -> float:
    """The metric from the mean of `row_losses`: of rmse the root, else the mean itself.

    >>> in_unit("rmse", 9.0), in_unit("mae", 9.0)
    (3.0, 9.0)
    """
    return math.sqrt(mean) if metric == "rmse" else mean


def macro_f1(predicted: Floats, outcomes: Floats) -> float:
    """Mean over the classes of F1 = 2 TP / (2 TP + FP + FN); NaN if no outcome is known. Classes as indices.

    The classes are those among the predictions or the outcomes. It is not a mean over rows, so it is reported beside a loss and
    not gated. Opitz and Burst, Macro F1 and Macro F1 (2019): the first of the two, as in scikit-learn.

    >>> round(macro_f1(np.array([0.0, 0.0, 1.0, 2.0]), np.array([0.0, 1.0, 1.0, 1.0])), 4)  # (2/3 + 1/2 + 0) / 3
    0.3889
    """
    known = np.isfinite(outcomes)
    predicted, outcomes = predicted[known], outcomes[known]
    if predicted.size == 0:
        return float("nan")
    classes = np.unique(np.concatenate([predicted, outcomes]), return_inverse=True)[1]
    guessed, true = classes[: predicted.size], classes[predicted.size :]
    count = int(classes.max()) + 1
    hits = np.bincount(true[guessed == true], minlength=count)
    both = np.bincount(guessed, minlength=count) + np.bincount(true, minlength=count)
    return float((2 * hits / both).mean())


def _class_losses(metric: MetricName, scores: Scores, outcomes: Floats) -> Floats:
    known = outcomes >= 0
    p = np.take_along_axis(scores, np.where(known, outcomes, 0).astype(np.intp)[:, None], axis=1)[:, 0]
    p = np.where(known, p, np.where(np.isnan(outcomes), np.nan, 0.0)).astype(np.float64)
    if metric == "error_rate":
        return np.where(np.isnan(p), np.nan, scores.argmax(axis=1) != outcomes)
    losses: Floats = -np.log(np.clip(p, PROBABILITY_MARGIN, 1 - PROBABILITY_MARGIN))
    return losses
