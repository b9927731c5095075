"""The short form of `make bench-log`: ten times the age of a log costs its readers at most twice the CPU time."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from loadtests.log_age.aged_log import age_log
from loadtests.log_age.operations import operations

# Below that an operation is hardly more than its calls.
_FLOOR_SECONDS = 0.01


def _cpu_seconds(work: Callable[[], object]) -> float:
    """The least of five calls: other processes on the cores make a call dearer, none makes it cheaper."""
    work()
    costs = []
    for _ in range(5):
        begun = time.process_time()
        work()
        costs.append(time.process_time() - begun)
    return min(costs)


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, int, list[str]]]:
    """A young log; one with ten times the rows; one with ten times the commits."""
    found = {}
    for name, rows, commits in (("young", 20_000, 300), ("rows", 200_000, 300), ("commits", 20_000, 3_000)):
        root = tmp_path_factory.mktemp(name) / "lake"
        found[name] = (root, rows, [one for one, _ in age_log(root, rows, commits).ids])
    return found


@pytest.mark.parametrize("age", ["rows", "commits"])
@pytest.mark.parametrize("operation", ["look", "newest-window", "old-window", "why"])
def test_ten_times_the_age_costs_at_most_twice(
    logs: dict[str, tuple[Path, int, list[str]]], operation: str, age: str
) -> None:
    young, old = (
        _cpu_seconds(operations(str(root), rows, ids)[operation])
        for root, rows, ids in (logs["young"], logs[age])
    )
    assert old <= 2 * max(young, _FLOOR_SECONDS)
