"""Estimated performance: the loss of a window before its outcomes are known, and a threshold that knows its own error.

Two estimators, chosen by the kind of the prediction:

- probability: calibrated confidences (confidence_calibration.py). With p the calibrated probability of a row and l(s, y)
  the loss of its score, the estimate is the mean of p l(s, 1) + (1 - p) l(s, 0).
- value, values, classes: direct loss estimation (direct_loss.py).

Both assume that outcomes depend on the features as they did in the reference. If that relation changes (concept drift),
features and answers may stay the same, and no estimate can show it: only outcomes can. That is why an estimate is never
reported as "healthy" while outcomes are overdue.

The error of an estimate is that of the fit; the noise of the outcomes is no part of it, because the estimate has none. It
is measured on residuals (loss - estimate) of reference rows that were not used for the fit, by blocks of time, as rows
close in time are correlated (batch means, Schmeiser 1982): the standard error of their mean. Of a probability, it is also
propagated from the reference's number of rows in each range of scores, so that a window in a range where the reference has
few rows has a larger error. The window's own share of rows of each kind varies, too: the standard error of its mean
estimate, in blocks of time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from services.drift.evaluation.columns import Floats, Rows
from services.drift.evaluation.confidence_calibration import (
    Calibrate,
    ConfidenceCalibration,
    best_calibrate,
    estimated_auc,
)
from services.drift.evaluation.direct_loss import MIN_ROWS, DirectLoss
from services.drift.evaluation.performance import measure_loss
from shared.contracts.lake_schema import SCORE
from shared.contracts.loop_spec import LoopSpec
from shared.models.losses import MetricName, in_unit, row_losses

FOLDS = 5
BLOCKS = 20
RANGES = 64
# The calibration of a probability needs fewer rows than trees do.
MIN_CONFIDENCE_ROWS = 200

Estimator = Callable[[Rows], Floats]


@dataclass(frozen=True)
class Estimate:
    """Estimated loss of a window in the metric's unit, and its standard error.

    `auc`: estimated area under the ROC curve of a probability; None for other kinds.
    """

    value: float
    error: float
    rows: int
    auc: float | None = None


@dataclass(frozen=True)
class Confidence:
    """The calibration of a probability, and the reference's rows by range of score: `edges` between ranges, `rows` in each."""

    calibration: ConfidenceCalibration
    edges: Floats
    rows: Floats

    def losses(self, metric: MetricName, window: Rows) -> Floats:
        """Estimated loss of each row."""
        scores = _scores(window)
        p = self.calibration.apply(scores)
        found: Floats = row_losses(metric, scores, np.zeros_like(scores)) + p * _gain(metric, scores)
        return found

    def error(self, metric: MetricName, window: Rows) -> float:
        """Standard error of the mean estimate: sum over ranges of (mean weight)² p (1 - p) / rows."""
        scores = _scores(window)
        scores = scores[np.isfinite(scores)]
        if not scores.size:
            return math.inf
        places = np.searchsorted(self.edges, scores, side="right")
        p = self.calibration.apply(scores)
        weights = np.bincount(places, weights=_gain(metric, scores), minlength=self.rows.size) / scores.size
        counts = np.bincount(places, minlength=self.rows.size)
        mean = np.bincount(places, weights=p, minlength=self.rows.size) / np.maximum(counts, 1)
        return float(np.sqrt((weights**2 * mean * (1 - mean) / np.maximum(self.rows, 1)).sum()))

    def auc(self, window: Rows) -> float | None:
        """Estimated area under the ROC curve; None where one outcome is certain for every row."""
        found = estimated_auc(_scores(window), self.calibration.apply(_scores(window)))
        return found if math.isfinite(found) else None


@dataclass(frozen=True)
class PerformanceEstimator:
    """Fitted on a reference. `residual_error`: standard error of the mean residual of its rows."""

    metric: MetricName
    losses: Estimator
    residual_error: float
    confidence: Confidence | None = None

    def estimate(self, window: Rows) -> Estimate | None:
        """The estimate for a window in time order; None where no row has an answer."""
        estimates = self.losses(window)
        # In the unit of a mean of rows: rmse is the root of that, taken last.
        measured = measure_loss("mae", estimates)
        if measured is None:
            return None
        mean = max(0.0, measured.value)
        error = math.hypot(measured.error, self.residual_error)
        if self.confidence is not None:
            error = math.hypot(error, self.confidence.error(self.metric, window))
        if self.metric == "rmse" and mean > 0:
            error /= 2 * math.sqrt(mean)
        auc = self.confidence.auc(window) if self.confidence is not None else None
        return Estimate(in_unit(self.metric, mean), error, measured.rows, auc)


def estimate_threshold(
    estimate: Estimate, reference_loss: float, reference_error: float, increase: float, alpha: float
) -> float:
    """The estimated loss that is exceeded with probability `alpha` while nothing has changed, plus the tolerated `increase`.

    >>> estimate = Estimate(0.6, 0.008, 1_000)
    >>> round(estimate_threshold(estimate, 0.5, 0.006, increase=0.02, alpha=0.01), 4)  # 0.52 + 0.01 z(0.99)
    0.5433
    """
    error = math.hypot(estimate.error, reference_error)
    return reference_loss + increase - error * float(ndtri(alpha))


def fit_estimator(loop: LoopSpec, rows: Rows) -> PerformanceEstimator | None:
    """Fit the estimator of the model's kind on reference rows in time order; None where they are too few, or have no loss."""
    performance = loop.performance
    if performance is None:
        return None
    metric, is_probability = performance.metric.name, loop.prediction.kind == "probability"
    known = np.flatnonzero(np.isfinite(rows.loss))
    if known.size < (MIN_CONFIDENCE_ROWS if is_probability else MIN_ROWS):
        return None
    read = rows.take(known)
    calibrate = best_calibrate(_scores(read), read.outcome) if is_probability else None

    def fit(some: Rows) -> Estimator:
        if calibrate is None:
            return DirectLoss.of(some, some.loss).losses
        confidence = _confidence(some, calibrate)
        return lambda window: confidence.losses(metric, window)

    residuals = _residuals(fit, read)
    blocks = np.array([block.mean() for block in np.array_split(residuals, min(BLOCKS, residuals.size))])
    independent = float(residuals.std(ddof=1)) / math.sqrt(residuals.size)
    error = max(float(blocks.std(ddof=1)) / math.sqrt(blocks.size), independent)
    return PerformanceEstimator(metric, fit(read), error, _confidence(read, calibrate) if calibrate else None)


def _residuals(fit: Callable[[Rows], Estimator], rows: Rows) -> Floats:
    """Loss minus estimate of every row, each estimated from the other folds; folds are blocks of time."""
    residuals = np.empty(len(rows))
    folds = np.array_split(np.arange(len(rows)), FOLDS)
    for place, fold in enumerate(folds):
        others = np.concatenate([other for number, other in enumerate(folds) if number != place])
        residuals[fold] = rows.loss[fold] - fit(rows.take(others))(rows.take(fold))
    return residuals


def _confidence(rows: Rows, calibrate: Calibrate) -> Confidence:
    scores = _scores(rows)
    edges = np.unique(np.quantile(scores, np.linspace(0, 1, RANGES + 1)[1:-1]))
    counts = np.bincount(np.searchsorted(edges, scores, side="right"), minlength=edges.size + 1)
    return Confidence(calibrate(scores, rows.outcome), edges, counts.astype(np.float64))


def _gain(metric: MetricName, scores: Floats) -> Floats:
    """How much more a row loses if its outcome is 1 than if it is 0."""
    found: Floats = row_losses(metric, scores, np.ones_like(scores)) - row_losses(
        metric, scores, np.zeros_like(scores)
    )
    return found


def _scores(rows: Rows) -> Floats:
    return np.asarray(rows.predictions[SCORE], dtype=np.float64)
