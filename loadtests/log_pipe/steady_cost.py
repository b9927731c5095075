"""CPU time of shipper and sink at one row a request, at a steady rate, and how soon each row can be read in the lake.

    python -m loadtests.log_pipe.steady_cost [--rate 1000] [--seconds 40]

Uses a real broker. Every request is an append of its own, as of a server that is asked for one row at a time. The CPU time is
that of whole processes without their start. A row can be read from when the entry of its commit is in the table's log.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from loadtests.log_pipe.rows import MODEL, append_rows
from loadtests.log_pipe.running_log import running_log, wait_for_rows
from shared.spool import SpoolWriter
from shared.stores.lake import Lake

_WARM_UP_SECONDS = 5.0
_STEP_SECONDS = 0.01
# Goals on a quiet machine; per million rows, and from answer to lake.
MAX_CPU_SECONDS = 10.0
MAX_READABLE_SECONDS = 1.0


@dataclass(frozen=True)
class LogCost:
    """`cpu_seconds`: of each process per million rows. `readable_seconds`: delays of rows, the median and the 99th percentile."""

    rows: int
    seconds: float
    cpu_seconds: dict[str, float]
    median_seconds: float
    p99_seconds: float

    def describe(self) -> str:
        """In one line."""
        costs = " ".join(f"{name}={cost:.1f}s/1M" for name, cost in self.cpu_seconds.items())
        return (
            f"{self.rows / self.seconds:.0f} rows/s, one a request: {costs} "
            f"readable after p50={self.median_seconds:.2f}s p99={self.p99_seconds:.2f}s"
        )


def missed_goals(cost: LogCost) -> list[str]:
    """The goals that these figures miss, each as a short text."""
    rate = f"at {cost.rows / cost.seconds:.0f} rows/s, one a request,"
    missed = [
        f"{rate} {name} takes {spent:.1f} CPU s per million rows"
        for name, spent in cost.cpu_seconds.items()
        if spent > MAX_CPU_SECONDS
    ]
    if cost.p99_seconds > MAX_READABLE_SECONDS:
        missed.append(f"{rate} a row is readable after {cost.p99_seconds:.2f} s (p99)")
    return missed


def measure(home: Path, rate: float, seconds: float) -> LogCost:
    """Append rows at that rate for so long, and wait until all can be read."""
    with running_log(home) as pids:
        writer, lake = SpoolWriter.open(home / "spool", maximum_bytes=1 << 30), Lake(str(home / "lake"))
        append_rows(writer, 0, 1)
        wait_for_rows(lake, 1)
        warm = 1 + append_steadily(writer, 1, rate, _WARM_UP_SECONDS)
        before, begun = cpu_times(pids), time.time()
        rows = append_steadily(writer, warm, rate, seconds)
        wait_for_rows(lake, warm + rows)
        spent = {name: (after - before[name]) / rows * 1e6 for name, after in cpu_times(pids).items()}
        writer.close()
    delays = readable_after(Path(lake.predictions(MODEL)), begun)
    return LogCost(rows, seconds, spent, float(np.quantile(delays, 0.5)), float(np.quantile(delays, 0.99)))


def append_steadily(writer: SpoolWriter, first: int, rate: float, seconds: float) -> int:
    """Append rows one by one, at that rate; how many."""
    begun, done = time.perf_counter(), 0
    while (passed := time.perf_counter() - begun) < seconds:
        for _ in range(int(passed * rate) - done):
            append_rows(writer, first + done, 1)
            done += 1
        time.sleep(_STEP_SECONDS)
    return done


def cpu_times(pids: dict[str, int]) -> dict[str, float]:
    """CPU seconds of each process since its start."""
    tick = os.sysconf("SC_CLK_TCK")
    found = {}
    for name, pid in pids.items():
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        found[name] = (int(fields[11]) + int(fields[12])) / tick
    return found


def readable_after(table: Path, since: float) -> npt.NDArray[np.float64]:
    """Of each row that was answered after that time, the seconds from then until its commit was in the table's log."""
    delays: list[npt.NDArray[np.float64]] = []
    for entry in sorted((table / "_delta_log").glob("*.json")):
        actions = [json.loads(line) for line in entry.read_bytes().splitlines()]
        if not any(action.get("txn") for action in actions):
            continue  # compaction moves rows that were readable before
        for action in actions:
            if "add" in action:
                answered = pq.read_table(table / action["add"]["path"], columns=["answered_at"])
                times = answered["answered_at"].to_numpy().astype("datetime64[us]").astype(np.int64) / 1e6
                delays.append(entry.stat().st_mtime - times[times >= since])
    return np.concatenate(delays)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=float, default=1000.0)
    parser.add_argument("--seconds", type=float, default=40.0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(measure(Path(folder), asked.rate, asked.seconds).describe())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
