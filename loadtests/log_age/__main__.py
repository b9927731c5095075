"""Benchmark of an old log: CPU time and peak memory of what reads it, by age. The exit status is 0 only if every limit is kept.

    python -m loadtests.log_age [--rows 100000,1000000] [--commits 1,10000,100000,1000000]

Each number of rows is measured with one commit, and each number of commits with the fewest rows.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from loadtests.log_age.aged_log import age_log

OPERATIONS = ("open", "look", "newest-window", "old-window", "why", "snapshot")
_ROWS = (100_000, 1_000_000)
_COMMITS = (10_000, 100_000, 1_000_000)

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


def main() -> int:
    """Measure and print; 0 if every limit is kept, else 1."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", default=",".join(map(str, _ROWS)))
    parser.add_argument("--commits", default=",".join(map(str, _COMMITS)))
    parser.add_argument("--keep", help="folder for the logs, which are kept and used again")
    asked = parser.parse_args()
    rows = sorted(int(number) for number in asked.rows.split(","))
    commits = sorted(int(number) for number in asked.commits.split(",") if number)
    costs: list[Cost] = []
    for count, made in [*((count, 1) for count in rows), *((rows[0], made) for made in commits)]:
        with tempfile.TemporaryDirectory() as folder:
            costs += measure(Path(asked.keep or folder) / f"lake-{count}-{made}", count, made)
    failed = broken_limits(costs)
    print(f"log-age: {'failed: ' + '; '.join(failed) if failed else 'ok'}")
    return 1 if failed else 0


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
        done = subprocess.run(command, capture_output=True, text=True, check=True)
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


if __name__ == "__main__":
    raise SystemExit(main())
