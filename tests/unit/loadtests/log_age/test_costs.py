"""Limits of an old log's costs: kept, or named one by one."""

from __future__ import annotations

from loadtests.log_age.costs import Cost, broken_limits


def cost(operation: str, cpu_s: float, *, rows: int = 1_000, commits: int = 1, peak: float = 100.0) -> Cost:
    return Cost(rows, commits, operation, cpu_s, peak)


def test_twice_the_cost_for_ten_times_the_age_is_allowed() -> None:
    young = cost("open", 0.02)
    assert broken_limits([young, cost("open", 0.04, rows=10_000), cost("open", 0.04, commits=10)]) == []
    assert broken_limits([young, cost("open", 0.05, rows=10_000)]) == [
        "open at 10000 rows and 1 commits costs 2.5 times as much as 1000"
    ]


def test_absolute_limits_are_named() -> None:
    costs = [cost("why", 0.11), cost("look", 0.021), cost("snapshot", 60.0, peak=513.0)]
    assert broken_limits(costs) == [
        "why at 1000 rows and 1 commits takes 110 ms",
        "look at 1000 rows and 1 commits takes 21 ms",
        "snapshot at 1000 rows and 1 commits needs 513 MiB",
    ]
