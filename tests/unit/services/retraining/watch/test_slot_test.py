"""The test of two slots: exact where they fail equally often, valid at every look, and one-sided."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import nchypergeom_fisher

from services.retraining.watch.slot_test import ERROR, ODDS, Counts, log_evidence, log_mean


@pytest.mark.parametrize(("side", "live", "failed"), [(5, 45, 3), (20, 30, 12), (1, 400, 1), (60, 40, 90)])
@pytest.mark.parametrize("odds", [1.0, 0.5, 0.1])
def test_the_mean_is_one_where_both_fail_equally_often_and_less_where_the_side_fails_less(
    side: int, live: int, failed: int, odds: float
) -> None:
    possible = range(max(0, failed - live), min(side, failed) + 1)
    chances = nchypergeom_fisher(side + live, failed, side, odds).pmf(list(possible))
    values = np.exp([log_evidence(Counts(side, k), Counts(live, failed - k)) for k in possible])
    means = chances @ values
    if odds == 1.0:
        assert means == pytest.approx(np.ones(len(ODDS)), abs=1e-9)
    else:
        assert (means <= 1 + 1e-12).all()


def test_it_is_the_likelihood_ratio_of_fishers_noncentral_distribution() -> None:
    found = log_evidence(Counts(20, 7), Counts(80, 5))
    expected = [
        nchypergeom_fisher(100, 12, 20, w).logpmf(7) - nchypergeom_fisher(100, 12, 20, 1).logpmf(7)
        for w in ODDS
    ]
    assert found == pytest.approx(expected, abs=1e-9)


def test_equal_slots_that_are_looked_at_every_second_are_rarely_found_worse() -> None:
    chance = np.random.default_rng(4)
    found = 0
    for _ in range(300):
        wealth = np.zeros(len(ODDS))
        for _ in range(120):
            rate = chance.choice([0.0, 0.02, 0.4], p=[0.6, 0.3, 0.1])  # bursts hit both
            side = int(chance.binomial(50, 0.1))
            failed = int(chance.binomial(side, rate)), int(chance.binomial(50 - side, rate))
            wealth += log_evidence(Counts(side, failed[0]), Counts(50 - side, failed[1]))
            if log_mean(list(wealth), [1 / len(ODDS)] * len(ODDS)) >= -math.log(ERROR):
                found += 1
                break
    assert found <= 0.05 * 300


@pytest.mark.parametrize(("side", "live"), [((5, 0), (45, 0)), ((0, 0), (45, 3)), ((5, 5), (45, 45))])
def test_nothing_follows_from_what_says_nothing(side: tuple[int, int], live: tuple[int, int]) -> None:
    assert log_evidence(Counts(*side), Counts(*live)) == [0.0] * len(ODDS)
