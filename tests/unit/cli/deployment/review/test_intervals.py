"""Rows by interval: complete intervals only, none without rows, and an extrapolation where there is no complete one."""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from cli.deployment.review.intervals import interval_rows, sufficient_length

MINUTE, DAY = 60_000_000, timedelta(days=1)


def test_incomplete_last_interval_is_left_out() -> None:
    found = interval_rows(np.arange(60 * 36) * MINUTE, DAY)
    assert found is not None
    assert found.counts.tolist() == [1440]


def test_intervals_without_rows_are_left_out() -> None:
    weekdays = np.concatenate([np.arange(1440) * MINUTE + day * 1440 * MINUTE for day in (0, 1, 4, 5)])
    found = interval_rows(weekdays, DAY)
    assert found is not None
    assert found.counts.tolist() == [1440, 1440, 1440]


def test_short_data_are_extrapolated() -> None:
    found = interval_rows(np.arange(61) * MINUTE, DAY)
    assert found is not None
    assert (found.usual, found.extrapolated) == (1464, True)


def test_rows_of_one_time_have_no_rate() -> None:
    assert interval_rows(np.zeros(500, np.int64), DAY) is None
    assert interval_rows(np.zeros(0, np.int64), DAY) is None
    assert sufficient_length(np.zeros(500, np.int64), 20) is None


def test_three_quarters_of_the_intervals_may_be_short() -> None:
    counts = [10, 10, 10, 500]
    times = np.concatenate(
        [day * 1440 * MINUTE + np.arange(count) * MINUTE for day, count in enumerate(counts)]
    )
    times = np.append(times, 4 * 1440 * MINUTE)
    found = interval_rows(times, DAY)
    assert found is not None
    assert found.too_few(200) == 3
    assert not found.mostly_too_few(200)
    assert found.mostly_too_few(501)


def test_sufficient_length_suffices() -> None:
    times = np.sort(np.random.default_rng(7).integers(0, 30 * 1440 * MINUTE, 3000))
    length = sufficient_length(times, 200)
    assert length == timedelta(days=3)
    found = interval_rows(times, length)
    assert found is not None
    assert found.too_few(200) == 0
