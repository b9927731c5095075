"""Costs of the operations on logs of several ages, and the limits of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from loadtests.log_age.aged_log import age_log
from local_stack.supervisor.process_specs import ALLOCATOR

OPERATIONS = ("open", "look", "newest-window", "old-window", "why", "snapshot")
ROWS = (100_000, 1_000_000, 5_000_000, 10_000_000)
COMMITS = (10_000, 100_000, 1_000_000)

# Ten times the age may cost twice, and a hundred times four times. Costs below the floor are not compared.
_RATIO_A_DECADE = 2.0
_FLOOR_SECONDS = 0.01
_MAX_SNAPSHOT_MIB = 512.0
_MAX_WHY_SECONDS = 0.1
_MAX_LOOK_SECONDS = 0.02


@dataclass(frozen=True)
class Cost:
    """CPU seconds of a repeated call, and the peak memory of its process."""

    rows: int
    commits: int
    operation: str
    cpu_s: float
    peak_mib: float


def measure_ages(rows: Sequence[int], commits: Sequence[int], keep: Path | None) -> list[Cost]:
    """Each number of rows with one commit, and each number of commits with the fewest rows. `keep`: where logs are kept."""
    found: list[Cost] = []
    rows = sorted(rows)
    for count, made in [*((count, 1) for count in rows), *((rows[0], made) for made in sorted(commits))]:
        with tempfile.TemporaryDirectory() as folder:
            found += measure((keep or Path(folder)) / f"lake-{count}-{made}", count, made)
    return found


def measure(root: Path, rows: int, commits: int) -> list[Cost]:
    """Make the log, unless it exists, and measure every operation on it."""
    listed = root.with_suffix(".ids")
    if not listed.exists():
        log = age_log(root, rows, commits)
        listed.write_text(json.dumps([name for name, _ in log.ids]))
    ids = json.loads(listed.read_text())
    found = []
    for operation in OPERATIONS:
        command = [
            sys.executable,
            "-m",
            "loadtests.log_age.operations",
            str(root),
            str(rows),
            operation,
            *ids[:20],
        ]
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, env={**os.environ, **ALLOCATOR}
        )
        measured = json.loads(done.stdout)
        cost = Cost(rows, commits, operation, measured["cpu_s"], measured["peak_mib"])
        print(
            f"{rows:>10} rows {commits:>8} commits {operation:<14} {cost.cpu_s * 1e3:10.1f} ms"
            f" (first {measured['first_s'] * 1e3:8.1f}) {cost.peak_mib:8.0f} MiB",
            flush=True,
        )
        found.append(cost)
    return found


def broken_limits(costs: list[Cost]) -> list[str]:
    """The limits that these costs break, each as a short text."""
    broken = []
    for cost in costs:
        what = f"{cost.operation} at {cost.rows} rows and {cost.commits} commits"
        if cost.operation == "why" and cost.cpu_s > _MAX_WHY_SECONDS:
            broken.append(f"{what} takes {cost.cpu_s * 1e3:.0f} ms")
        if cost.operation == "look" and cost.cpu_s > _MAX_LOOK_SECONDS:
            broken.append(f"{what} takes {cost.cpu_s * 1e3:.0f} ms")
        if cost.operation == "snapshot":
            if cost.peak_mib > _MAX_SNAPSHOT_MIB:
                broken.append(f"{what} needs {cost.peak_mib:.0f} MiB")
            continue
        for younger in costs:
            older = max(cost.rows / younger.rows, cost.commits / younger.commits)
            same = younger.operation == cost.operation and older >= 10
            if same and cost.cpu_s > allowed(younger.cpu_s, older):
                broken.append(
                    f"{what} costs {cost.cpu_s / younger.cpu_s:.1f} times as much as {younger.rows}"
                )
    return broken


def allowed(younger_seconds: float, older: float) -> float:
    """CPU seconds that an operation may take on a log `older` times as old.

    >>> allowed(0.1, 10), round(allowed(0.1, 100), 3), allowed(0.001, 10)
    (0.2, 0.4, 0.02)
    """
    decades = len(str(int(older))) - 1
    return max(younger_seconds, _FLOOR_SECONDS) * _RATIO_A_DECADE**decades
