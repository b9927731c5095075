from __future__ import annotations

import numpy as np
import pytest

from services.drift.stream.statistics.sum_statistic import sum_cusum


def test_many_small_shifts_are_more_evidence_than_one() -> None:
    many = sum_cusum(np.eye(30), np.ones(30), 10_000)
    rows = 1_000.0
    one, ten = np.zeros(30), np.zeros(30)
    one[0], ten[:10] = 0.1 * rows, 0.1 * rows
    noise = np.random.default_rng(3).normal(size=30) * rows**0.5
    assert many.evidence(noise + ten, np.array(rows)) > 15
    assert many.evidence(noise + one, np.array(rows)) < 2
    assert many.evidence(noise, np.array(rows)) < 0


def test_correlated_columns_do_not_count_twice() -> None:
    correlation = np.full((4, 4), 0.95) + 0.05 * np.eye(4)
    rows, shift = np.array(1_000.0), np.full(4, 150.0)
    apart = sum_cusum(np.eye(4), np.ones(4), 1e6)
    together = sum_cusum(correlation, np.ones(4), 1e6)
    found = [many.step(many.begin(), shift, rows, 0) for many in (apart, together)]
    assert found[1] < found[0] / 2


def test_evidence_starts_anew_after_zero() -> None:
    many = sum_cusum(np.eye(3), np.ones(3), 10_000)
    state = many.begin()
    many.step(state, np.zeros(3), np.array(50.0), 7)
    assert state.rows == 0
    many.step(state, np.full(3, 40.0), np.array(50.0), 8)
    assert (int(state.start), float(state.rows)) == (8, 50)


def test_model_without_numbers_has_no_evidence() -> None:
    many = sum_cusum(np.zeros((0, 0)), np.zeros(0), 100)
    assert many.step(many.begin(), np.zeros(0), np.array(50.0), 1) == pytest.approx(0)
