from __future__ import annotations

import doctest

import numpy as np
import pytest
from scipy import stats
from scipy.spatial import distance

from services.drift.thresholds import null_distribution
from services.drift.thresholds.calibration import numeric_baseline
from services.drift.thresholds.null_distribution import (
    degrees_of_freedom_from_ratio,
    jensen_shannon_null,
    wasserstein_null,
)


def test_jensenshannon_of_well_filled_categories_is_the_textbook_value() -> None:
    chance = jensen_shannon_null(np.array([3000, 3000, 4000]), size=1 / 1000 + 1 / 10000)
    assert chance.mean == pytest.approx(2 / 8, rel=0.01)
    assert chance.degrees_of_freedom == pytest.approx(2, rel=0.01)


@pytest.mark.parametrize(("categories", "window"), [(2, 1000), (20, 1000), (500, 1000), (500, 100)])
def test_jensenshannon_mean_agrees_with_simulation_also_where_categories_are_sparse(
    categories: int, window: int
) -> None:
    random = np.random.default_rng(categories)
    shares, rows = random.dirichlet(np.ones(categories)), 10000
    squares, forecasts = [], []
    for _ in range(100):
        reference = random.multinomial(rows, shares)
        now = random.multinomial(window, shares)
        squares.append(distance.jensenshannon(now / window, reference / rows) ** 2)
        size = 1 / window + 1 / rows
        forecasts.append(jensen_shannon_null(reference, size).mean * size)
    assert np.mean(forecasts) == pytest.approx(np.mean(squares), rel=0.2)


def test_wasserstein_moments_agree_with_simulation() -> None:
    random = np.random.default_rng(5)
    chance = numeric_baseline(random.normal(size=20000)).independent
    squares = [
        stats.wasserstein_distance(random.normal(size=500), random.normal(size=5000)) ** 2
        / (1 / 500 + 1 / 5000)
        for _ in range(300)
    ]
    assert chance.mean == pytest.approx(np.mean(squares), rel=0.1)
    assert chance.degrees_of_freedom == pytest.approx(2 * np.mean(squares) ** 2 / np.var(squares), rel=0.35)


def test_where_nothing_varies_chance_does_nothing() -> None:
    assert jensen_shannon_null(np.array([10]), 0.1).mean == 0
    assert jensen_shannon_null(np.array([], dtype=np.int64), 0.1).mean == 0
    assert wasserstein_null(np.empty(0), np.empty(0)).mean == 0


@pytest.mark.parametrize("degrees", [1.0, 2.0, 4.4, 99.0])
def test_the_degrees_of_freedom_come_back_from_the_moments_of_the_root(degrees: float) -> None:
    root = stats.chi(degrees)
    assert degrees_of_freedom_from_ratio(root.mean() / np.sqrt(degrees)) == pytest.approx(degrees, rel=1e-3)


def test_examples_in_docstrings() -> None:
    results = doctest.testmod(null_distribution)
    assert (results.failed, results.attempted > 0) == (0, True)
