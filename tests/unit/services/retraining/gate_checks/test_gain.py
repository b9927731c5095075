"""The gain with its bound: wrong promotions stay as rare as the confidence says."""

from __future__ import annotations

import doctest
import math

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from services.retraining.gate_checks import gain
from services.retraining.gate_checks.gain import gain_of

HOUR = 3_600_000_000


def hours(count: int, per_hour: int = 4) -> npt.NDArray[np.int64]:
    return (np.arange(count) * (HOUR // per_hour)).astype(np.int64)


def test_correlated_rows_are_not_independent_evidence() -> None:
    """A gain on one day in ten: significant by rows, not by days."""
    difference = np.zeros(24 * 4 * 12)
    difference[: 24 * 4] = 1.0
    difference += np.random.default_rng(4).normal(0, 0.01, len(difference))
    found = gain_of(difference, np.zeros_like(difference), hours(len(difference)), 0.9)
    by_rows = difference.mean() - stats.t.ppf(0.9, len(difference) - 1) * stats.sem(difference)
    assert by_rows > 0
    assert found.lower < 0 < found.mean


@pytest.mark.parametrize("confidence", [0.8, 0.9, 0.95])
def test_false_pass_rate_of_equal_models(confidence: float) -> None:
    """2,000 pairs of equally good models whose differences err together within each day."""
    chance = np.random.default_rng(5)
    timestamps = hours(24 * 14, per_hour=1)
    wrong = 0
    for _ in range(2000):
        days = chance.normal(0, 0.05, 14).repeat(24)
        difference = days + chance.normal(0, 0.1, len(days))
        wrong += gain_of(difference, np.zeros_like(difference), timestamps, confidence).lower > 0
    expected = 2000 * (1 - confidence)
    assert abs(wrong - expected) < 4 * math.sqrt(expected * confidence)


@pytest.mark.parametrize(
    ("rows", "per_hour", "blocks", "block"),
    [
        (24 * 10, 1, 10, "24 h"),
        (24 * 9, 1, 36, "6 h"),
        (12, 1, 12, "1 h"),
        (40, 100, 10, "4 rows"),
        (7, 100, 7, "1 rows"),
    ],
)
def test_longest_sufficient_blocks_are_used(rows: int, per_hour: int, blocks: int, block: str) -> None:
    found = gain_of(np.ones(rows), np.zeros(rows), hours(rows, per_hour), 0.9)
    assert (found.blocks, found.block) == (blocks, block)


def test_rmse_gain_is_in_the_outcome_unit() -> None:
    result = gain_of(np.full(480, 4.0), np.full(480, 1.0), hours(480), 0.9, root=True)
    assert result.mean == pytest.approx(1.0)
    assert result.lower == pytest.approx(1.0)


def test_formulas_match_their_examples() -> None:
    result = doctest.testmod(gain)
    assert result.attempted >= 12
    assert result.failed == 0
