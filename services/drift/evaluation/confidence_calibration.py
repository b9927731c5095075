"""Calibrated confidences: from the score of a row to the probability of its outcome, as the reference shows it. Pure.

Two maps are fitted, and the one with the lower log-loss on rows that it was not fitted on is kept:

- beta calibration (Kull, Silva Filho, Flach, Beta calibration, AISTATS 2017): logit p = a ln s - b ln(1 - s) + c. Three
  parameters, so it is steady where the reference has few rows;
- isotonic regression (Zadrozny and Elkan, Transforming classifier scores into accurate multiclass probability estimates,
  KDD 2002): any monotone map, by pooling adjacent violators (Barlow, Bartholomew, Bremner, Brunk 1972).

From calibrated confidences the performance of a probability follows without outcomes, if the probability of the outcome
given the score has not changed; NannyML calls this confidence-based performance estimation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from services.drift.evaluation.columns import Floats
from shared.models.losses import PROBABILITY_MARGIN, row_losses

FOLDS = 5
MAX_LEVELS = 1000
_GRID = np.concatenate([[0.0], expit(np.linspace(-16, 16, 1025)), [1.0]])


@dataclass(frozen=True)
class ConfidenceCalibration:
    """A map from score to probability, by linear interpolation between `scores`; constant beyond them."""

    scores: Floats
    probabilities: Floats

    def apply(self, scores: Floats) -> Floats:
        """The probability that the outcome is 1, per score; NaN stays."""
        found = np.interp(scores, self.scores, self.probabilities)
        result: Floats = np.where(np.isnan(scores), np.nan, found)
        return result


Calibrate = Callable[[Floats, Floats], ConfidenceCalibration]


def best_calibrate(scores: Floats, outcomes: Floats) -> Calibrate:
    """Which of the two maps to fit, for rows in time order with a score in [0, 1] and an outcome of 0 or 1; at least one.

    >>> rng = np.random.default_rng(5)
    >>> truth = rng.random(20_000)
    >>> scores, outcomes = np.sqrt(truth), (rng.random(20_000) < truth).astype(float)
    >>> calibration = best_calibrate(scores, outcomes)(scores, outcomes)
    >>> calibration.apply(np.array([0.3, 0.5, 0.9])).round(2)  # overconfident: the truth is the square
    array([0.1 , 0.26, 0.82])
    """
    return min((beta, isotonic), key=lambda calibrate: _held_out_loss(calibrate, scores, outcomes))


def estimated_auc(scores: Floats, probabilities: Floats) -> float:
    """Expected area under the ROC curve: each row counts as positive with its probability. NaN where one side has no weight.

    AUC = sum over pairs of p_i (1 - p_j) [s_i > s_j] + half of ties, divided by the sum over all pairs of p_i (1 - p_j)
    (the Mann-Whitney statistic with weights).

    >>> scores = np.array([0.1, 0.4, 0.6, 0.9])
    >>> estimated_auc(scores, np.array([0.0, 0.0, 1.0, 1.0]))
    1.0
    >>> estimated_auc(scores, np.full(4, 0.5))
    0.5
    """
    known = ~(np.isnan(scores) | np.isnan(probabilities))
    levels, places = np.unique(scores[known], return_inverse=True)
    positive = np.bincount(places, weights=probabilities[known], minlength=levels.size)
    negative = np.bincount(places, weights=1 - probabilities[known], minlength=levels.size)
    below = np.cumsum(negative) - negative
    # A row is no pair with itself.
    own = float((probabilities[known] * (1 - probabilities[known])).sum())
    pairs = float(positive.sum() * negative.sum()) - own
    if pairs <= 0:
        return float("nan")
    return float((positive @ (below + negative / 2) - own / 2) / pairs)


def _held_out_loss(fit: Calibrate, scores: Floats, outcomes: Floats) -> float:
    """Mean log-loss of every row, by a map fitted on the other folds; folds are blocks of time."""
    folds = [fold for fold in np.array_split(np.arange(scores.size), FOLDS) if fold.size]
    total = 0.0
    for place, fold in enumerate(folds):
        others = np.concatenate([other for number, other in enumerate(folds) if number != place] or [fold])
        p = fit(scores[others], outcomes[others]).apply(scores[fold])
        total += float(row_losses("log_loss", p, outcomes[fold]).sum())
    return total / scores.size


def beta(scores: Floats, outcomes: Floats) -> ConfidenceCalibration:
    """The maximum-likelihood fit, with a and b not below 0: a higher score never means a lower probability."""

    def features(values: Floats) -> Floats:
        clipped = np.clip(values, PROBABILITY_MARGIN, 1 - PROBABILITY_MARGIN)
        return np.stack([np.log(clipped), -np.log1p(-clipped), np.ones_like(clipped)], axis=1)

    from scipy.optimize import minimize  # takes long to import, and few models have a calibration to fit

    levels, counts, hits = _pooled(scores, outcomes)
    rows = features(levels)

    def loss(weights: Floats) -> tuple[float, Floats]:
        z = rows @ weights
        # A weak pull to the identity keeps the weights finite where the outcomes can be separated.
        pull = weights - np.array([1.0, 1.0, 0.0])
        value = float(counts @ np.logaddexp(0, z) - hits @ z) + 0.5 * float(pull @ pull)
        return value, (counts * expit(z) - hits) @ rows + pull

    found = minimize(
        loss,
        np.array([1.0, 1.0, 0.0]),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0, None), (0, None), (None, None)],
    )
    return ConfidenceCalibration(_GRID, expit(features(_GRID) @ found.x))


def isotonic(scores: Floats, outcomes: Floats) -> ConfidenceCalibration:
    """Each pooled block is one point, at its mean score. A block of n rows is kept at least 0.5/(n + 1) off 0 and 1, which a
    log-loss could not stand (half an outcome, as in Laplace's rule of succession)."""
    from scipy.optimize import isotonic_regression

    levels, counts, hits = _pooled(scores, outcomes)
    edges = isotonic_regression(hits / counts, weights=counts).blocks[:-1]
    rows = np.add.reduceat(counts, edges)
    centres = np.add.reduceat(levels * counts, edges) / rows
    margin = 0.5 / (rows + 1.0)
    shares = np.clip(np.add.reduceat(hits, edges) / rows, margin, 1 - margin)
    return ConfidenceCalibration(centres, np.maximum.accumulate(shares))


def _pooled(scores: Floats, outcomes: Floats) -> tuple[Floats, Floats, Floats]:
    """Rows with nearly equal scores as one: mean scores, ascending; rows; outcomes that are 1."""
    levels, places = np.unique(scores, return_inverse=True)
    if levels.size > MAX_LEVELS:
        edges = np.unique(_quantiles(np.sort(scores), np.linspace(0, 1, MAX_LEVELS + 1)[1:-1]))
        places = np.searchsorted(edges, scores, side="right")
    counts = np.bincount(places).astype(np.float64)
    kept = counts > 0
    sums: Floats = np.bincount(places, weights=scores).astype(np.float64)
    hits: Floats = np.bincount(places, weights=outcomes).astype(np.float64)
    return sums[kept] / counts[kept], counts[kept], hits[kept]


def _quantiles(ordered: Floats, shares: Floats) -> Floats:
    """As np.quantile, of sorted values: that one selects for each share, which takes many times as long as sorting."""
    places = (ordered.size - 1) * shares
    below = np.floor(places).astype(np.intp)
    low, high, part = ordered[below], ordered[np.minimum(below + 1, ordered.size - 1)], places - below
    # From the nearer side, as numpy does it.
    result: Floats = np.where(part >= 0.5, high - (high - low) * (1 - part), low + (high - low) * part)
    return result
