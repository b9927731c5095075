from __future__ import annotations

import numpy as np
import pytest

from services.drift.stream.calibration.level_adjustment import LevelAdjustment, level_adjustment, unadjusted


def test_spread_around_the_own_mean_ignores_the_level() -> None:
    none = unadjusted(1)
    adjustment = LevelAdjustment(np.array([0.7]), none.coefficients, none.low, none.high)
    # Fifty rows, all two standard deviations up: the square of their sum is all there is.
    sums = np.array([[100.0, 0.7 * (200 - 1)]])
    assert adjustment.adjust(sums, np.array([50.0]))[0].tolist() == pytest.approx([100.0, 0.0])


def test_dependence_on_the_level_is_removed() -> None:
    random = np.random.default_rng(3)
    rows = np.full((500, 2), 50.0)
    mean = random.normal(size=(500, 2))
    spread = 50 * (0.3 - 0.2 * mean**4) + random.normal(size=(500, 2))
    sums = np.stack([50 * mean, spread], axis=-1)
    adjustment = level_adjustment(sums, rows, np.array([0.7, 0.0]))
    adjusted = adjustment.adjust(sums, rows)
    assert abs(np.corrcoef(adjusted[:, 0, 1], mean[:, 0] ** 4)[0, 1]) < 0.05
    assert adjusted[:, 0, 1].std() < 1.2
    assert adjusted[:, 1, 1].tolist() == spread[:, 1].tolist()


def test_column_without_weight_is_unchanged() -> None:
    sums = np.ones((3, 2, 2))
    assert unadjusted(2).adjust(sums, np.ones((3, 2))) is sums
