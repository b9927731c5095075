"""Bisection in few calls comes to the same floating point numbers as one step a call."""

from __future__ import annotations

import numpy as np
import pytest

from homeostat.model_export.pipelines.bisection import STEPS, bisect
from homeostat.model_export.prediction_kind import Floats

RANDOM = np.random.default_rng(3)
CROSSINGS = np.concatenate([RANDOM.normal(size=40) * 10.0 ** RANDOM.integers(-9, 9, 40), [0.0, -0.5, 3.0]])
LOW, HIGH = np.full(len(CROSSINGS), -1e10), np.full(len(CROSSINGS), 3e10)


def step_by_step(crossings: Floats) -> tuple[Floats, Floats]:
    low, high = LOW[: len(crossings)], HIGH[: len(crossings)]
    for _ in range(STEPS):
        middle = low + (high - low) / 2
        low, high = np.where(middle <= crossings, middle, low), np.where(middle <= crossings, high, middle)
    return low, high


@pytest.mark.parametrize(("intervals", "steps"), [(1, 10), (5, 7), (43, 4)])
def test_ends_are_those_of_single_steps(intervals: int, steps: int) -> None:
    crossings, calls = CROSSINGS[-intervals:], []

    def before(points: Floats) -> np.ndarray:
        calls.append(points.shape)
        return points <= crossings

    low, high = bisect(LOW[:intervals], HIGH[:intervals], before)
    expected = step_by_step(crossings)
    assert np.array_equal(low, expected[0])
    assert np.array_equal(high, expected[1])
    assert len(calls) <= np.ceil(STEPS / steps)
    assert calls[0] == (2**steps - 1, intervals)


def test_adjacent_numbers_end_it() -> None:
    calls = []

    def before(points: Floats) -> np.ndarray:
        calls.append(1)
        return points <= 1.25

    low, high = bisect(np.array([1.0]), np.array([2.0]), before)
    assert (low[0], high[0]) == (1.25, np.nextafter(1.25, 2))
    assert len(calls) == 6


def test_an_interval_without_crossing_shrinks_to_its_end() -> None:
    low, _ = bisect(np.array([0.0, 0.0]), np.array([1.0, 1.0]), lambda points: points < [np.inf, -np.inf])
    assert low[0] >= np.nextafter(1.0, 0)
    assert low[1] == 0.0
