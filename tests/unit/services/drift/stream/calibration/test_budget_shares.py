from __future__ import annotations

import doctest
from datetime import timedelta

import numpy as np
import pytest

from services.drift.stream.calibration import budget_shares
from services.drift.stream.calibration.budget_shares import Statistics, tile_rate


def test_docstring_example() -> None:
    results = doctest.testmod(budget_shares)
    assert results.attempted > 0
    assert results.failed == 0


def test_bounds_of_all_statistics_add_up_to_the_budget() -> None:
    counts, rate = Statistics(240, 12, 1, 90), 1e-4
    found = budget_shares.thresholds(counts, rate)
    total = sum(
        getattr(counts, kind) * np.exp(-getattr(found, kind))
        for kind in ("feature", "prediction", "many_columns", "data")
    )
    assert total == pytest.approx(rate)


def test_kind_without_statistics_leaves_its_share_to_others() -> None:
    without = budget_shares.thresholds(Statistics(240, 0, 0, 90), 1e-4)
    assert 240 * np.exp(-without.feature) == pytest.approx(0.95e-4)


def test_rate_is_the_budget_per_tile() -> None:
    assert tile_rate(1.0, timedelta(minutes=1)) == pytest.approx(1 / 43_200)
    assert tile_rate(1e9, timedelta(days=1)) == 0.25
