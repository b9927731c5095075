from __future__ import annotations

import doctest
import math

import numpy as np
import pytest

from shared.models import losses
from shared.models.losses import MetricName, row_losses


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


def test_examples_in_docstrings() -> None:
    results = doctest.testmod(losses)
    assert (results.failed, results.attempted > 0) == (0, True)
