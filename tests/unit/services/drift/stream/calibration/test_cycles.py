from __future__ import annotations

import numpy as np
import pytest

from services.drift.stream.calibration.cycles import DAY, WEEK, find_cycles
from services.drift.stream.calibration.reference_series import ReferenceSeries

TILE = DAY // 144


def series(days: float, daily: float = 0.0, weekly: float = 0.0, seed: int = 3) -> ReferenceSeries:
    """Tiles of ten minutes with 50 rows of two columns; the first one has the cycles."""
    count = int(days * 144)
    middle = np.arange(count) * TILE
    sums = np.random.default_rng(seed).normal(size=(count, 2, 2)) * 50**0.5
    sums[:, 0, 0] += 50 * (
        daily * np.sin(2 * np.pi * middle / DAY) + weekly * np.cos(2 * np.pi * middle / WEEK)
    )
    return ReferenceSeries(
        middle, sums, np.full((count, 2), 50.0), np.zeros((2, 0), np.uint8), np.zeros(0, np.int64)
    )


def test_daily_cycle_is_found_with_its_amplitude() -> None:
    cycles = find_cycles(series(7, daily=0.5))
    assert cycles.periods.tolist() == [DAY]
    assert cycles.mean(DAY // 4)[0, 0] == pytest.approx(0.5, abs=0.03)
    assert cycles.mean(3 * DAY // 4)[0, 0] == pytest.approx(-0.5, abs=0.03)
    assert abs(cycles.mean(DAY // 4)[1]).max() < 0.03
    assert cycles.variance[0, 0] == pytest.approx(0.125, abs=0.02)
    assert cycles.dilution == 3


def test_weekly_cycle_is_found_in_two_weeks() -> None:
    assert WEEK in find_cycles(series(14, weekly=0.3)).periods
    assert WEEK not in find_cycles(series(10, weekly=0.3)).periods


def test_stream_without_cycle_has_none() -> None:
    for seed in range(20):
        assert find_cycles(series(7, seed=seed)).periods.size == 0


def test_less_than_two_days_show_no_cycle() -> None:
    cycles = find_cycles(series(1.5, daily=0.5))
    assert cycles.periods.size == 0
    assert cycles.mean(5).tolist() == [[0, 0], [0, 0]]
