"""The limits of the log benchmark: kept, or named one by one."""

from __future__ import annotations

from loadtests.bench_log import broken_limits


def test_good_figures_break_no_limit() -> None:
    assert broken_limits(10.0, 20_000.0, 1.0) == []


def test_every_broken_limit_is_named() -> None:
    assert broken_limits(26.0, 20_000.0, 1.0) == ["ratio above 25"]
    assert broken_limits(10.0, 999.0, 1.0) == ["throughput below 1000rows/s"]
    assert broken_limits(10.0, 20_000.0, 10.1) == ["row visible after 10s"]
