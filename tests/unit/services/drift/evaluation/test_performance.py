from __future__ import annotations

import doctest
import math

import numpy as np
import pytest

from services.drift.evaluation import performance
from services.drift.evaluation.performance import Floats, Loss, loss_threshold, measure_loss
from shared.models.losses import MetricName, row_losses


def loss_of(metric: MetricName, scores: Floats, outcomes: Floats) -> Loss | None:
    return measure_loss(metric, row_losses(metric, scores, outcomes))


def test_rmse_is_the_root_of_the_mean() -> None:
    loss = loss_of("rmse", np.array([0.0, 0.0]), np.array([3.0, 4.0]))
    assert loss is not None
    assert loss.value == pytest.approx(math.sqrt(12.5))


def test_only_rows_with_score_and_outcome_count() -> None:
    loss = loss_of("mae", np.array([1.0, np.nan, 3.0]), np.array([2.0, 2.0, np.nan]))
    assert loss is not None
    assert (loss.value, loss.rows) == (1.0, 1)
    assert loss_of("mae", np.array([1.0]), np.array([np.nan])) is None
    assert loss_of("mae", np.empty(0), np.empty(0)) is None


def test_the_error_of_independent_rows_is_the_standard_error() -> None:
    random = np.random.default_rng(1)
    errors = [loss_of("mae", random.normal(size=2000), np.zeros(2000)) for _ in range(50)]
    plain = np.sqrt(1 - 2 / np.pi) / np.sqrt(2000)
    assert np.mean([loss.error for loss in errors if loss]) == pytest.approx(plain, rel=0.25)


def test_rows_that_share_their_fate_have_a_larger_error() -> None:
    random = np.random.default_rng(2)
    days = np.repeat(random.normal(3, 1, 20), 100)
    together = loss_of("mae", days, np.zeros(2000))
    apart = loss_of("mae", random.permutation(days), np.zeros(2000))
    assert together is not None
    assert apart is not None
    assert together.error > 3 * apart.error


def test_the_limit_is_reference_plus_tolerance_plus_chance() -> None:
    window, reference = Loss(0.6, 0.01, 1000, 10), Loss(0.5, 0.01, 5000, 10)
    limit = loss_threshold(window, reference, 0.02, alpha=0.01)
    assert limit == pytest.approx(0.52 + math.sqrt(2) * 0.01 * 2.552, abs=1e-3)


def test_a_single_row_can_never_exceed() -> None:
    assert loss_threshold(Loss(9, math.inf, 1, 1), Loss(0.5, 0.01, 5000, 10), 0.02, 0.01) == math.inf


@pytest.mark.parametrize("metric", ["log_loss", "brier", "mae", "rmse"])
def test_numbers_beyond_every_unit_keep_a_finite_loss_and_limit(metric: MetricName) -> None:
    score = np.full(200, 0.5)
    outcome = np.where(np.arange(200) % 50, 1.0, 1.7e308)
    loss = loss_of(metric, score, outcome)
    assert loss is not None
    assert math.isfinite(loss.value)
    assert math.isfinite(loss_threshold(loss, loss, 0.0, 0.01))


def test_where_nothing_varies_only_the_tolerance_counts() -> None:
    assert loss_threshold(Loss(0.6, 0.0, 100, 10), Loss(0.5, 0.0, 100, 10), 0.02, 0.01) == pytest.approx(0.52)


def test_the_limit_holds_its_chance_of_alarm() -> None:
    random = np.random.default_rng(3)
    alarms = 0
    for _ in range(600):
        reference = loss_of("mae", random.normal(size=2000), np.zeros(2000))
        window = loss_of("mae", random.normal(size=500), np.zeros(500))
        assert window is not None
        assert reference is not None
        alarms += window.value > loss_threshold(window, reference, 0.0, 0.05)
    assert 10 <= alarms <= 45


def test_examples_in_docstrings() -> None:
    results = doctest.testmod(performance)
    assert (results.failed, results.attempted > 0) == (0, True)
