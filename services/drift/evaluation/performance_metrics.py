"""Metrics of answers against outcomes, beside the loss that judges. By scikit-learn, where its definition is used as it is.

Classes of a probability are those above 0.5. Precision, recall and F1 of several classes are means over the classes that occur.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping

import numpy as np

from services.drift.evaluation.answered import Answered
from shared.contracts.prediction import quantile_of
from shared.models.losses import Floats, row_losses

_BINS = 10
_TINY = 1e-300


def measure(metric: str, answered: Answered) -> float | None:
    """The metric over the rows that have an answer and an outcome; None if there are none, or it is not defined for them.

    >>> rows = Answered(np.array([0.9, 0.8, 0.4, 0.3]), np.array([1.0, 0.0, 1.0, 0.0]))
    >>> measure("auc", rows), measure("accuracy", rows), measure("f1", rows)
    (0.75, 0.5, 0.5)
    >>> numbers = Answered(np.array([1.0, 2.0, 4.0]), np.array([1.0, 1.0, 0.0]))
    >>> [round(measure(name, numbers), 4) for name in ("mae", "mape", "quantile_loss(0.9)")]
    [1.6667, 0.5, 0.1667]
    >>> measure("auc", rows.take(np.array([0]))) is None  # one class only
    True
    """
    rows = answered.known()
    if not len(rows):
        return None
    quantile = quantile_of(metric)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        # scikit-learn warns where a metric is not defined, and answers NaN.
        warnings.simplefilter("ignore")
        try:
            if metric in rows.of_rows:
                value = _mean(rows.of_rows[metric])
            elif quantile is not None:
                value = _quantile_loss(rows, quantile)
            else:
                value = _OF_CLASSES[metric](rows) if rows.predicted is not None else _OF_NUMBERS[metric](rows)
        except ValueError:  # what scikit-learn of other versions raises there
            return None
    return value if math.isfinite(value) else None


def calibration_error(probabilities: Floats, happened: Floats) -> float:
    """Expected calibration error: the mean over ten bins of equal width of |mean probability - share that happened|, weighted by
    rows (Naeini, Cooper and Hauskrecht 2015; of several classes for the most probable one, Guo et al. 2017).

    >>> round(calibration_error(np.array([0.75, 0.75, 0.75, 0.15]), np.array([1.0, 1.0, 1.0, 0.0])), 3)  # (3 0.25 + 0.15) / 4
    0.225
    """
    bins = np.clip((probabilities * _BINS).astype(np.intp), 0, _BINS - 1)
    gaps = np.bincount(bins, probabilities, _BINS) - np.bincount(bins, happened, _BINS)
    return float(np.abs(gaps).sum() / probabilities.size)


def _quantile_loss(rows: Answered, quantile: float) -> float:
    from sklearn.metrics import mean_pinball_loss

    return float(mean_pinball_loss(rows.outcomes, rows.scores, alpha=quantile))


def _mean(values: Floats) -> float:
    """Over the rows that count."""
    counted = values[np.isfinite(values)]
    return float(counted.mean()) if counted.size else math.nan


def _accuracy(rows: Answered) -> float:
    guessed, true = _classes(rows)
    return float((guessed == true).mean())


def _of_class(name: str) -> Callable[[Answered], float]:
    """Precision, recall or F1. Of no row in the class, or none predicted, it is not defined."""

    def value(rows: Answered) -> float:
        from sklearn import metrics

        guessed, true = _classes(rows)
        average = "binary" if rows.predicted is None else "macro"
        undefined = math.nan if rows.predicted is None else 0.0
        return float(
            getattr(metrics, f"{name}_score")(true, guessed, average=average, zero_division=undefined)
        )

    return value


def _classes(rows: Answered) -> tuple[Floats, Floats]:
    if rows.predicted is not None:
        return rows.predicted, rows.outcomes
    return (rows.scores > 0.5).astype(np.float64), (rows.outcomes > 0.5).astype(np.float64)


def _log_loss(rows: Answered) -> float:
    return float(row_losses("log_loss", rows.scores, rows.outcomes).mean())


def _of_probability(name: str) -> Callable[[Answered], float]:
    def value(rows: Answered) -> float:
        from sklearn import metrics

        happened = rows.outcomes > 0.5
        if happened.all() or not happened.any():
            return math.nan
        return float(getattr(metrics, name)(happened, rows.scores))

    return value


def _mape(rows: Answered) -> float:
    """Mean |p - y| / |y|. Rows whose outcome is 0 are left out: there it is not defined."""
    counted = np.abs(rows.outcomes) > _TINY
    relative = np.abs(rows.scores - rows.outcomes)[counted] / np.abs(rows.outcomes)[counted]
    return float(relative.mean()) if relative.size else math.nan


def _r2(rows: Answered) -> float:
    from sklearn.metrics import r2_score

    return float(r2_score(rows.outcomes, rows.scores, force_finite=False)) if len(rows) > 1 else math.nan


def _top_label_calibration(rows: Answered) -> float:
    assert rows.predicted is not None
    return calibration_error(rows.scores, (rows.predicted == rows.outcomes).astype(np.float64))


_OF_NUMBERS: Mapping[str, Callable[[Answered], float]] = {
    "log_loss": _log_loss,
    "brier": lambda rows: float(np.square(rows.scores - rows.outcomes).mean()),
    "accuracy": _accuracy,
    "precision": _of_class("precision"),
    "recall": _of_class("recall"),
    "f1": _of_class("f1"),
    "auc": _of_probability("roc_auc_score"),
    "average_precision": _of_probability("average_precision_score"),
    "calibration_error": lambda rows: calibration_error(rows.scores, rows.outcomes),
    "mae": lambda rows: float(np.abs(rows.scores - rows.outcomes).mean()),
    "rmse": lambda rows: math.sqrt(np.square(rows.scores - rows.outcomes).mean()),
    "mape": _mape,
    "r2": _r2,
}
_OF_CLASSES: Mapping[str, Callable[[Answered], float]] = {
    "accuracy": _accuracy,
    "precision": _of_class("precision"),
    "recall": _of_class("recall"),
    "f1": _of_class("f1"),
    "calibration_error": _top_label_calibration,
}
