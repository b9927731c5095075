"""Calibrated confidences and the area under the ROC curve that follows from them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit

from services.drift.evaluation.confidence_calibration import (
    _quantiles,
    best_calibrate,
    beta,
    estimated_auc,
    isotonic,
)
from tests.unit.services.drift.evaluation.scored_rows import probability_rows, realised_auc

ROWS = probability_rows(20_000, 1)
SCORES = ROWS.predictions["score"].astype(float)


@pytest.mark.parametrize("calibrate", [beta, isotonic])
def test_both_maps_find_the_true_probability(calibrate: object) -> None:
    assert callable(calibrate)
    found = calibrate(SCORES, ROWS.outcome).apply(np.array([0.1, 0.3, 0.5, 0.8]))
    assert found == pytest.approx(expit(logit([0.1, 0.3, 0.5, 0.8]) / 1.3), abs=0.03)


@pytest.mark.parametrize("calibrate", [beta, isotonic])
def test_maps_never_decrease_and_stay_inside(calibrate: object) -> None:
    assert callable(calibrate)
    found = calibrate(SCORES[:300], ROWS.outcome[:300]).apply(np.linspace(0, 1, 1001))
    assert (np.diff(found) >= 0).all()
    assert (found > 0).all()
    assert (found < 1).all()


def test_smooth_scores_get_the_smooth_map_and_odd_ones_the_other() -> None:
    assert best_calibrate(SCORES, ROWS.outcome) is beta
    random = np.random.default_rng(2)
    steps = np.where(SCORES > 0.7, 0.55, np.where(SCORES > 0.3, 0.5, 0.05))
    assert best_calibrate(SCORES, (random.random(20_000) < steps).astype(float)) is isotonic


@pytest.mark.parametrize("outcome", [0.0, 1.0])
def test_one_outcome_only(outcome: float) -> None:
    scores = np.linspace(0, 1, 50)
    for calibrate in (beta, isotonic):
        found = calibrate(scores, np.full(50, outcome)).apply(scores)
        assert np.isfinite(found).all()
        assert abs(found - outcome).max() < 0.2


def test_missing_scores_stay_missing() -> None:
    assert np.isnan(beta(SCORES, ROWS.outcome).apply(np.array([np.nan]))).all()


def test_auc_of_true_probabilities_is_the_realised_one() -> None:
    truth = expit(logit(SCORES) / 1.3)
    assert estimated_auc(SCORES, truth) == pytest.approx(realised_auc(ROWS), abs=0.006)


def test_auc_counts_ties_half_and_leaves_out_missing_rows() -> None:
    assert estimated_auc(np.full(4, 0.5), np.array([0.1, 0.9, 0.2, 0.8])) == pytest.approx(0.5)
    with_missing = estimated_auc(np.array([0.1, 0.9, np.nan]), np.array([0.0, 1.0, 0.3]))
    assert with_missing == pytest.approx(1.0)
    assert np.isnan(estimated_auc(np.array([0.1, 0.9]), np.array([1.0, 1.0])))


@pytest.mark.parametrize("decimals", [3, 17], ids=["ties", "distinct"])
@pytest.mark.parametrize("rows", [1001, 4567])
def test_quantiles_are_exactly_those_of_numpy(rows: int, decimals: int) -> None:
    values = np.random.default_rng(rows).random(rows).round(decimals)
    shares = np.linspace(0, 1, 1001)
    assert (_quantiles(np.sort(values), shares) == np.quantile(values, shares)).all()
