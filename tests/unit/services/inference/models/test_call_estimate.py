from __future__ import annotations

import random
from itertools import pairwise

import pytest

from services.inference.models.call_estimate import CallEstimate


class Calls:
    """Calls of a model that take `cost` seconds, on a clock that stands still otherwise."""

    def __init__(self, *, per_call: float = 0.002, per_row: float = 0.0001) -> None:
        self.now = 0.0
        self.timed = 0
        self.estimate = CallEstimate(lambda: self.now)
        self.estimate.start_with(per_call=per_call, per_row=per_row)

    def make(self, count: int, cost: float, rows: int = 1) -> None:
        for _ in range(count):
            began = self.estimate.began(rows)
            self.now += cost
            if began is not None:
                self.timed += 1
                self.estimate.ended(rows, began)


def test_estimate_starts_with_the_measurement_at_load() -> None:
    calls = Calls()
    assert calls.estimate.seconds(1) == 0.002
    assert calls.estimate.seconds(11) == pytest.approx(0.003)
    assert calls.estimate.seconds_added(10) == pytest.approx(0.001)


def test_estimate_follows_slower_calls_within_a_few() -> None:
    calls = Calls()
    calls.make(1, 0.010)
    assert calls.estimate.seconds(1) == pytest.approx(0.0028)
    calls.make(30, 0.010)
    assert 0.009 < calls.estimate.seconds(1) <= 0.010


def test_estimate_comes_back_down() -> None:
    calls = Calls()
    calls.make(50, 0.010)
    calls.make(60, 0.002)
    # It stays a little high: that it comes down late keeps it from going to and fro.
    assert 0.002 <= calls.estimate.seconds(1) <= 0.002 / 0.75


def test_small_differences_change_nothing() -> None:
    calls = Calls()
    numbers = random.Random(5)
    for _ in range(500):
        calls.make(1, numbers.uniform(0.0018, 0.0023))
    assert calls.estimate.changes == 0
    assert calls.estimate.seconds(1) == 0.002


def test_model_at_the_bound_does_not_go_to_and_fro() -> None:
    calls = Calls(per_call=0.004)
    numbers = random.Random(5)
    sides = []
    for _ in range(2000):
        calls.make(1, numbers.uniform(0.0035, 0.0055))
        sides.append(calls.estimate.seconds(1) <= 0.004)
    moves = sum(before != after for before, after in pairwise(sides))
    assert moves <= 1


def test_sizes_are_followed_separately() -> None:
    calls = Calls()
    calls.make(50, 0.1, rows=64)
    assert calls.estimate.seconds(64) > 0.09
    # Of the same size class: in proportion to the rows.
    assert calls.estimate.seconds(100) > calls.estimate.seconds(64)
    assert calls.estimate.seconds(1) == 0.002
    assert calls.estimate.seconds_added(64) == pytest.approx(0.0064 * calls.estimate.seconds(64) / 0.0083)


def test_quick_calls_are_timed_now_and_then() -> None:
    quick, slow = Calls(per_call=0.0001), Calls(per_call=0.002)
    quick.make(80, 0.0001)
    slow.make(80, 0.002)
    assert quick.timed == 10
    assert slow.timed == 80


def test_estimate_without_a_measurement_stays_zero() -> None:
    calls = Calls(per_call=0.0, per_row=0.0)
    calls.make(20, 0.5)
    assert calls.estimate.seconds(1) == 0.0
