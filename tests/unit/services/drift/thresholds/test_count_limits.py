"""Limits of counts: the quantiles of scipy.stats, which the service does not import."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from services.drift.thresholds.count_limits import binomial_limit, poisson_limit

ALPHAS = (0.5, 0.05, 1e-3, 1e-6, 1e-9)


@pytest.mark.parametrize("alpha", ALPHAS)
def test_limits_are_the_quantiles_of_scipy(alpha: float) -> None:
    random = np.random.default_rng(3)
    for rows in (1, 2, 30, 1_000, 200_000):
        for share in (0.0, 1e-4, 0.01, float(random.uniform()), 0.999):
            assert binomial_limit(rows, share, alpha) == stats.binom.isf(alpha, rows, share), (rows, share)
    for expected in (1e-6, 0.3, 5.0, 47.5, 20_000.0, float(random.uniform(1, 100))):
        assert poisson_limit(expected, alpha) == stats.poisson.isf(alpha, expected), expected


def test_a_limit_is_exceeded_with_the_probability_at_most() -> None:
    limit = binomial_limit(500, 0.02, 1e-3)
    assert stats.binom.sf(limit, 500, 0.02) <= 1e-3 < stats.binom.sf(limit - 1, 500, 0.02)


def test_the_service_starts_without_the_statistics_package() -> None:
    code = "import sys, services.drift.bootstrap; print(sorted({'scipy.stats', 'scipy.optimize', 'pandas'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
