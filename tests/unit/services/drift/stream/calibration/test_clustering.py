from __future__ import annotations

import numpy as np

from services.drift.stream.calibration.clustering import block_variance
from services.drift.stream.calibration.reference_series import ReferenceSeries


def series(tiles: int) -> ReferenceSeries:
    return ReferenceSeries(
        np.arange(tiles),
        np.zeros((tiles, 0, 2)),
        np.zeros((tiles, 0)),
        np.zeros((1, 0), np.uint8),
        np.repeat(np.arange(tiles), 50),
    )


def test_independent_rows_have_variance_one() -> None:
    for seed in range(10):
        cells = np.random.default_rng(seed).integers(0, 5, 10_000).astype(np.uint8)
        assert block_variance(series(200), cells, 64) == 1.0


def test_rare_categories_are_no_clusters() -> None:
    for seed in range(10):
        cells = np.minimum(63, np.random.default_rng(seed).geometric(0.5, 10_000) - 1).astype(np.uint8)
        assert block_variance(series(200), cells, 64) == 1.0


def test_runs_of_ten_rows_have_variance_ten() -> None:
    cells = np.repeat(np.random.default_rng(3).integers(0, 5, 1_000), 10).astype(np.uint8)
    assert 8 < block_variance(series(200), cells, 64) < 14


def test_slow_changes_are_seen_in_long_blocks() -> None:
    random = np.random.default_rng(3)
    share = np.repeat(random.choice([0.3, 0.7], 12), 50 * 16)
    cells = (random.random(share.size) < share).astype(np.uint8)
    assert block_variance(series(192), cells, 64) > 50
