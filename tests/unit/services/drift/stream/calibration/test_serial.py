from __future__ import annotations

import numpy as np
import pytest

from services.drift.stream.calibration.cycles import find_cycles
from services.drift.stream.calibration.reference_series import ReferenceSeries
from services.drift.stream.calibration.serial import SerialModel, serial_model
from services.drift.stream.statistics.scores import Scores


def model(tiles: int, decay: float, signal: float, columns: int = 8, seed: int = 3) -> SerialModel:
    """Of normal tiles of 50 rows; the location has a signal with this share of the variance of a tile's mean."""
    random = np.random.default_rng(seed)
    sums = random.normal(size=(tiles, columns, 2))
    slow = np.zeros((tiles, columns))
    slow[0] = random.normal(size=columns)
    for tile in range(1, tiles):
        slow[tile] = decay * slow[tile - 1] + (1 - decay**2) ** 0.5 * random.normal(size=columns)
    sums[:, :, 0] = (1 - signal) ** 0.5 * sums[:, :, 0] + signal**0.5 * slow
    series = ReferenceSeries(
        np.arange(tiles) * 1_000_000,
        sums * 50**0.5,
        np.full((tiles, columns), 50.0),
        np.zeros((columns, 0), np.uint8),
        np.zeros(0, np.int64),
    )
    shares = np.full((columns, 66), 1 / 66)
    usable = np.ones((columns, 2), bool)
    scores = Scores(
        np.arange(columns),
        shares,
        np.zeros((columns, 2, 66)),
        usable,
        np.full(columns, 50.0 * tiles),
        np.full(columns, 1.4),
    )
    return serial_model(series, find_cycles(series), scores)


def test_independent_tiles_have_long_run_variance_one() -> None:
    for seed in range(10):
        found = model(200, 0.0, 0.0, seed=seed)
        assert not found.correlated
        assert found.dependence.variance.tolist() == [[1.0, 1.0]] * 8
        assert np.isinf(found.dependence.degrees).all()


@pytest.mark.parametrize(("decay", "signal"), [(0.6, 0.8), (0.9, 0.9), (0.945, 0.95)])
def test_long_run_variance_is_that_of_the_process(decay: float, signal: float) -> None:
    found = model(2_000, decay, signal)
    true = 1 - signal + signal * (1 + decay) / (1 - decay)
    assert found.decay[0] == pytest.approx(decay, abs=0.02)
    assert np.exp(np.log(found.dependence.variance[:, 0]).mean()) == pytest.approx(true, rel=0.15)
    assert np.isfinite(found.dependence.degrees[:, 0]).all()


def test_short_reference_is_more_uncertain() -> None:
    short, long = (model(tiles, 0.6, 0.8).dependence.degrees[0, 0] for tiles in (200, 2_000))
    assert short < long


def test_few_tiles_show_no_correlation() -> None:
    assert not model(10, 0.9, 0.9).correlated
