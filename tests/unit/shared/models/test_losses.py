from __future__ import annotations

import doctest
import math

import numpy as np
import pytest
from sklearn.metrics import f1_score

from shared.models import losses
from shared.models.losses import UNKNOWN_CLASS, MetricName, macro_f1, row_losses


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("log_loss", [-math.log(0.9), -math.log(1e-7)]),
        ("brier", [0.01, 1.0]),
        ("mae", [0.1, 1.0]),
        ("rmse", [0.01, 1.0]),
    ],
)
def test_row_losses_of_each_metric(metric: MetricName, expected: list[float]) -> None:
    assert row_losses(metric, np.array([0.9, 0.0]), np.array([1.0, 1.0])) == pytest.approx(expected)


@pytest.mark.parametrize("wrong", [0.0, 1.0])
def test_certain_wrong_score_has_finite_log_loss(wrong: float) -> None:
    loss = row_losses("log_loss", np.array([wrong]), np.array([1 - wrong]))
    assert loss == pytest.approx([-math.log(1e-7)], rel=1e-6)


@pytest.mark.parametrize("metric", ["log_loss", "brier", "mae", "rmse"])
def test_huge_outcome_has_finite_loss(metric: MetricName) -> None:
    assert np.isfinite(row_losses(metric, np.array([0.5]), np.array([1.7e308]))).all()


PROBABILITIES = np.array([[0.5, 0.25, 0.25], [0.25, 0.5, 0.25], [0.0, 0.0, 1.0]], np.float32)


@pytest.mark.parametrize(
    ("metric", "outcomes", "expected"),
    [
        ("log_loss", [0, 0, 2], [-math.log(0.5), -math.log(0.25), 1e-7]),
        ("log_loss", [2, 1, 0], [-math.log(0.25), -math.log(0.5), -math.log(1e-7)]),
        ("log_loss", [UNKNOWN_CLASS, math.nan, 2], [-math.log(1e-7), math.nan, 1e-7]),
        ("error_rate", [0, 0, 2], [0, 1, 0]),
        ("error_rate", [UNKNOWN_CLASS, math.nan, 1], [1, math.nan, 1]),
    ],
)
def test_row_losses_of_classes(metric: MetricName, outcomes: list[float], expected: list[float]) -> None:
    losses = row_losses(metric, PROBABILITIES, np.array(outcomes, float))
    assert losses.dtype == np.float64
    assert losses == pytest.approx(expected, rel=1e-5, nan_ok=True)


@pytest.mark.parametrize("metric", ["log_loss", "error_rate"])
def test_row_without_probabilities_has_no_loss(metric: MetricName) -> None:
    assert np.isnan(row_losses(metric, np.full((1, 3), np.nan, np.float32), np.array([1.0]))).all()


def test_two_classes_lose_as_one_probability() -> None:
    p = np.array([0.0, 0.1, 0.5, 1 - 1e-9, 1.0])
    outcomes = np.array([1.0, 0.0, 1.0, 0.0, 1.0])
    classes = row_losses("log_loss", np.column_stack([1 - p, p]), outcomes)
    assert classes == pytest.approx(row_losses("log_loss", p, outcomes))


def test_macro_f1_is_scikit_learns() -> None:
    random = np.random.default_rng(5)
    predicted = random.integers(0, 7, 300).astype(np.float64)
    outcomes = random.integers(0, 5, 300).astype(np.float64)
    assert macro_f1(predicted, outcomes) == pytest.approx(f1_score(outcomes, predicted, average="macro"))
    outcomes[::2] = np.nan
    known = np.isfinite(outcomes)
    expected = f1_score(outcomes[known], predicted[known], average="macro")
    assert macro_f1(predicted, outcomes) == pytest.approx(expected)
    assert math.isnan(macro_f1(predicted, np.full(300, np.nan)))


def test_examples_in_docstrings() -> None:
    results = doctest.testmod(losses)
    assert (results.failed, results.attempted > 0) == (0, True)
