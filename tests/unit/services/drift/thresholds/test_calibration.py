from __future__ import annotations

import doctest

import numpy as np
import numpy.typing as npt
import pytest
from scipy.signal import lfilter
from scipy.spatial import distance

from services.drift.thresholds import calibration
from services.drift.thresholds.calibration import (
    Baseline,
    DesignEffect,
    Sizes,
    category_baseline,
    distance_threshold,
    numeric_baseline,
)


def autoregressive(rows: int, correlation: float, random: np.random.Generator) -> npt.NDArray[np.float64]:
    """A stationary normal series of unit variance whose neighbours correlate that much."""
    shocks = random.normal(size=rows + 200) * np.sqrt(1 - correlation**2)
    series: npt.NDArray[np.float64] = lfilter([1], [1, -correlation], shocks)[200:]
    return series


def sizes(window: int, reference: int) -> Sizes:
    return Sizes(window, window, reference, reference, window)


def test_independent_rows_are_not_inflated() -> None:
    baseline = numeric_baseline(np.random.default_rng(1).normal(size=10000))
    assert baseline.design_effect(500).factor == pytest.approx(1.0, abs=0.3)


@pytest.mark.parametrize(("correlation", "factor"), [(0.3, 1.86), (0.9, 19.0)])
def test_the_inflation_is_that_of_the_long_run_variance(correlation: float, factor: float) -> None:
    # The long-run variance of the mean is (1 + r) / (1 - r); that of a distribution's other features is smaller.
    random = np.random.default_rng(2)
    found = np.mean(
        [
            numeric_baseline(autoregressive(20000, correlation, random)).design_effect(1000).factor
            for _ in range(10)
        ]
    )
    assert 0.6 * factor < found < 1.1 * factor


def test_a_threshold_knows_the_size_of_the_window() -> None:
    baseline = numeric_baseline(np.random.default_rng(3).normal(size=10000))
    small, large = (distance_threshold(baseline, sizes(rows, 10000), 1e-3) for rows in (200, 5000))
    assert small > 2.5 * large


def test_a_threshold_knows_the_size_of_the_reference() -> None:
    random = np.random.default_rng(4)
    short, long = (numeric_baseline(random.normal(size=rows)) for rows in (500, 20000))
    assert distance_threshold(short, sizes(1000, 500), 1e-3) > 1.5 * distance_threshold(
        long, sizes(1000, 20000), 1e-3
    )


def test_a_threshold_knows_the_number_of_categories() -> None:
    random = np.random.default_rng(5)
    few, many = (
        category_baseline(random.integers(0, categories, 10000).astype(str).astype(object))
        for categories in (5, 100)
    )
    low, high = (distance_threshold(baseline, sizes(1000, 10000), 1e-3) for baseline in (few, many))
    assert low < 0.07
    # Evidently's fixed 0.1 lies below what chance does to a hundred categories.
    assert 0.12 < high < 0.2


def test_a_threshold_knows_the_alarm_chance() -> None:
    baseline = numeric_baseline(np.random.default_rng(6).normal(size=10000))
    limits = [distance_threshold(baseline, sizes(1000, 10000), chance) for chance in (0.1, 1e-2, 1e-4)]
    assert limits == sorted(limits)
    assert limits[0] < limits[1] < limits[2]


def test_the_alarm_chance_holds_where_rows_depend_on_each_other() -> None:
    # Twenty categories cut from a series of correlation 0.9: a window of 1,000 rows holds some fifty independent moments.
    random = np.random.default_rng(5)

    def levels(rows: int) -> npt.NDArray[np.int64]:
        cut: npt.NDArray[np.float64] = np.floor(10 * (1 + np.tanh(autoregressive(rows, 0.9, random) / 2)))
        return cut.astype(np.int64)

    exceeded = np.zeros(2)
    for _ in range(60):
        reference = levels(5000)
        baseline = category_baseline(reference.astype(str).astype(object))
        limits = [distance_threshold(baseline, sizes(1000, 5000), chance) for chance in (0.02, 0.002)]
        for _ in range(10):
            shares = [np.bincount(side, minlength=20) / side.size for side in (levels(1000), reference)]
            exceeded += [distance.jensenshannon(*shares) > limit for limit in limits]
    assert exceeded[0] <= 15  # of 600; 12 are allowed for, 24 and more without the care taken for few blocks
    assert exceeded[1] <= 6


def test_an_inflation_seen_in_few_blocks_is_trusted_less(monkeypatch: pytest.MonkeyPatch) -> None:
    baseline = numeric_baseline(np.random.default_rng(6).normal(size=10000))

    def limit(blocks: int) -> float:
        monkeypatch.setattr(Baseline, "design_effect", lambda *_: DesignEffect(2.0, blocks, 4.0))
        return distance_threshold(baseline, sizes(1000, 10000), 1e-3)

    assert limit(8) > 1.1 * limit(64)


def test_busier_window_has_no_more_independent_rows() -> None:
    baseline = numeric_baseline(autoregressive(20000, 0.95, np.random.default_rng(7)))
    usual = distance_threshold(baseline, Sizes(1000, 1000, 20000, 20000, expected=1000), 1e-3)
    busy = distance_threshold(baseline, Sizes(10000, 10000, 20000, 20000, expected=1000), 1e-3)
    assert busy > 0.9 * usual


@pytest.mark.parametrize("values", [np.empty(0), np.full(500, 3.0), np.array([1.0, 2.0])])
def test_a_degenerate_reference_gives_a_finite_threshold(values: npt.NDArray[np.float64]) -> None:
    assert np.isfinite(distance_threshold(numeric_baseline(values), sizes(100, max(1, values.size)), 1e-3))


@pytest.mark.parametrize("values", [[], ["a"] * 500, ["a", "b"]])
def test_a_degenerate_category_gives_a_finite_threshold(values: list[str]) -> None:
    baseline = category_baseline(np.array(values, dtype=object))
    assert np.isfinite(distance_threshold(baseline, sizes(100, max(1, len(values))), 1e-3))


def test_examples_in_docstrings() -> None:
    results = doctest.testmod(calibration)
    assert (results.failed, results.attempted > 0) == (0, True)
