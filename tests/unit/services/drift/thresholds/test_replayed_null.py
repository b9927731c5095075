"""Replay of a reference gives the null distribution of any score."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.signal import lfilter

from services.drift.thresholds.replayed_null import REPLAYS, ReplayedNull, Values, replay_null


def ks(window: Values, older: Values) -> float:
    return float(stats.ks_2samp(window, older).statistic)


@pytest.mark.parametrize("correlation", [0.0, 0.6])
def test_calm_windows_stay_below_the_threshold(correlation: float) -> None:
    """At a false-alarm rate of 1 %, 300 windows of the same world: within chance, also where rows are correlated."""
    random = np.random.default_rng(7)
    series = lfilter([1], [1, -correlation], random.normal(size=50_000)) * np.sqrt(1 - correlation**2)
    reference, later = series[:6000], series[6100:]
    effect = (1 + correlation) / (1 - correlation)
    null = replay_null(reference, 500, 4 * effect, ks, seed=1)
    assert null is not None
    windows = later[: 80 * 500].reshape(80, 500)
    alarms = sum(ks(window, reference) > null.threshold(0.01) for window in windows)
    assert alarms <= stats.binom.ppf(0.999, 80, 0.01)
    assert ks(windows[0] + 0.6, reference) > null.threshold(0.01)


def test_correlated_rows_raise_the_threshold() -> None:
    series = lfilter([1], [1, -0.8], np.random.default_rng(8).normal(size=6000))
    blocks, rows = (replay_null(series, 500, length, ks, seed=1) for length in (40, 1))
    assert blocks is not None
    assert rows is not None
    assert blocks.threshold(0.01) > 1.3 * rows.threshold(0.01)


def test_replay_is_deterministic() -> None:
    values = np.random.default_rng(9).normal(size=3000)
    assert replay_null(values, 200, 3, ks, seed=5) == replay_null(values, 200, 3, ks, seed=5)


def test_threshold_is_never_below_what_was_seen() -> None:
    assert ReplayedNull(mean=1.0, variance=1e-9, largest=3.0).threshold(0.01) == 3.0
    assert ReplayedNull(mean=0.0, variance=0.0, largest=0.0).threshold(0.01) == 0.0


def test_short_references_and_failing_methods_have_no_null() -> None:
    values = np.random.default_rng(9).normal(size=3000)
    assert replay_null(values[:100], 50, 1, ks, seed=1) is None
    assert replay_null(values, 200, 1, lambda *_: None, seed=1) is None
    calls: list[int] = []

    def often(window: Values, older: Values) -> float | None:
        calls.append(window.size)
        return None if len(calls) % 3 == 0 else ks(window, older)

    assert replay_null(values, 200, 1, often, seed=1) is not None
    assert calls == [200] * REPLAYS
