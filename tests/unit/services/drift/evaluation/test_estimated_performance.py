"""Estimated performance: close to the realised one while inputs move, blind to a changed concept, honest about its error."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from services.drift.evaluation.columns import Rows
from services.drift.evaluation.estimated_performance import (
    PerformanceEstimator,
    estimate_threshold,
    fit_estimator,
)
from shared.contracts.loop_spec import LoopSpec
from tests.unit.services.drift.evaluation.scored_rows import probability_rows, realised_auc, value_rows
from tests.unit.services.drift.world import loop

VALUE = loop(prediction={"kind": "value"}, metric={"name": "mae"})


def fitted(spec: LoopSpec, reference: Rows) -> PerformanceEstimator:
    found = fit_estimator(spec, reference)
    assert found is not None
    return found


PROBABILITY = fitted(loop(), probability_rows(20_000, 1))


@pytest.mark.parametrize("shift", [0.0, 0.7, -0.7])
def test_estimates_of_moved_inputs(shift: float) -> None:
    window = probability_rows(20_000, 2, shift=shift)
    found = PROBABILITY.estimate(window)
    assert found is not None
    assert abs(found.value - window.loss.mean()) < 4 * found.error
    assert found.auc == pytest.approx(realised_auc(window), abs=0.01)


def test_changed_concept_is_not_seen() -> None:
    calm, changed = probability_rows(20_000, 2), probability_rows(20_000, 2, concept=1.5)
    assert changed.loss.mean() > calm.loss.mean() + 0.1
    assert PROBABILITY.estimate(changed) == PROBABILITY.estimate(calm)


def test_outcomes_are_not_read() -> None:
    window = probability_rows(500, 3)
    blind = replace(window, outcome=np.full(500, np.nan), loss=np.full(500, np.nan))
    assert PROBABILITY.estimate(blind) == PROBABILITY.estimate(window)


def test_error_is_larger_where_the_reference_has_few_rows() -> None:
    near, far = (PROBABILITY.estimate(probability_rows(5000, 4, shift=shift)) for shift in (0.0, 3.0))
    assert near is not None
    assert far is not None
    assert far.error > 2 * near.error


def test_false_alarms_stay_within_alpha() -> None:
    """Worlds without change, each with a reference of its own: at most alpha of the windows exceed, within chance."""
    alpha, worlds, exceeded = 0.1, 50, 0
    for seed in range(worlds):
        reference = probability_rows(800, 1000 + seed)
        found = fitted(loop(), reference).estimate(probability_rows(400, 5000 + seed))
        assert found is not None
        error = float(reference.loss.std() / np.sqrt(len(reference)))
        limit = estimate_threshold(found, float(reference.loss.mean()), error, 0.0, alpha)
        exceeded += found.value > limit
    assert exceeded <= stats.binom.ppf(0.999, worlds, alpha)


def test_values_are_estimated_from_their_features() -> None:
    estimator = fitted(VALUE, value_rows(6000, 1))
    calm, moved = (value_rows(4000, 2, shift=shift) for shift in (0.0, 1.5))
    for window in (calm, moved):
        found = estimator.estimate(window)
        assert found is not None
        assert found.value == pytest.approx(window.loss.mean(), rel=0.1)
        assert found.auc is None


def test_rmse_is_the_root_of_the_mean() -> None:
    reference = value_rows(6000, 1)
    squared = replace(
        reference, loss=np.square(reference.predictions["score"].astype(float) - reference.outcome)
    )
    spec = loop(prediction={"kind": "value"}, metric={"name": "rmse"})
    found = fitted(spec, squared).estimate(value_rows(4000, 2))
    assert found is not None
    assert found.value == pytest.approx(np.sqrt(squared.loss.mean()), rel=0.1)


def test_correlated_rows_give_a_larger_error() -> None:
    calm = probability_rows(2000, 7)
    order = np.argsort(np.round(calm.predictions["score"].astype(float), 1) + calm.outcome, kind="stable")
    assert fitted(loop(), calm.take(order)).residual_error > 2 * fitted(loop(), calm).residual_error


@pytest.mark.parametrize(("spec", "rows"), [(loop(), 199), (VALUE, 499)])
def test_small_references_give_no_estimator(spec: LoopSpec, rows: int) -> None:
    assert fit_estimator(spec, probability_rows(rows, 1)) is None


def test_models_without_a_loss_have_none() -> None:
    spec = loop(
        prediction={"kind": "embedding", "size": 3}, outcome=None, metric=None, retraining=None, gate=None
    )
    assert fit_estimator(spec, probability_rows(500, 1)) is None


def test_window_without_answers() -> None:
    window = probability_rows(50, 1)
    assert PROBABILITY.estimate(replace(window, predictions={"score": np.full(50, np.nan)})) is None
