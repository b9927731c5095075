"""Benchmark of the prediction log: what a row costs on its way to the lake, and what an old log costs its readers.

    python -m loadtests.bench_log [--no-ages] [--rows 100000,1000000] [--commits 10000] [--seconds 40]

1. An append to the spool beside a bare write of as many bytes, interleaved, as CPU time.
2. Throughput of shipper and sink over a backlog, with a real broker.
3. Their CPU time per million rows at one row a request, and how soon rows can be read (log_pipe/steady_cost.py).
4. Logs of several ages (log_age/).

The last line names what was missed; the exit status is 0 only if nothing was.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import loadtests.log_age.__main__ as ages
from loadtests.log_age import costs
from loadtests.log_pipe.rows import append_rows, request
from loadtests.log_pipe.running_log import running_log, wait_for_rows
from loadtests.log_pipe.steady_cost import measure, missed_goals
from shared.spool import SpoolWriter
from shared.stores.lake import Lake

_ROUNDS = 20
_CALLS = 1000
_ROWS = 200_000
_REQUEST = 10

# Limits that a machine with two busy cores keeps; a regression of the code by a factor breaks them.
_MAX_APPEND_RATIO = 25.0
_MIN_ROWS_PER_SECOND = 1_000.0
_MAX_VISIBLE_SECONDS = 10.0
# Rows a second, one a request.
_RATES = (1_000.0, 5_000.0)


def main() -> int:
    """Measure and print; 0 if every limit is kept, else 1."""
    parser = argparse.ArgumentParser()
    ages.add_options(parser)
    parser.add_argument("--no-ages", action="store_true", help="leave out the old logs")
    parser.add_argument("--seconds", type=float, default=40.0, help="of each steady rate")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bare, append = _append_cost(Path(folder))
        seconds, visible = _throughput(Path(folder))
    print(
        f"append={append:.1f}us bare_write={bare:.1f}us ratio={append / bare:.1f} "
        f"shipper_and_sink={_ROWS / seconds:.0f}rows/s row_readable_after={visible:.2f}s",
        flush=True,
    )
    failed = broken_limits(append / bare, _ROWS / seconds, visible)
    for rate in _RATES:
        with tempfile.TemporaryDirectory() as folder:
            cost = measure(Path(folder), rate, asked.seconds)
        print(cost.describe(), flush=True)
        failed += missed_goals(cost)
    if not asked.no_ages:
        failed += costs.broken_limits(costs.measure_ages(asked.rows, asked.commits, asked.keep))
    print(f"bench-log: {'failed: ' + '; '.join(failed) if failed else 'ok'}")
    return 1 if failed else 0


def broken_limits(append_ratio: float, rows_per_second: float, visible_seconds: float) -> list[str]:
    """The limits that these figures break, each as a short text."""
    return [
        text
        for kept, text in (
            (append_ratio <= _MAX_APPEND_RATIO, f"ratio above {_MAX_APPEND_RATIO:.0f}"),
            (rows_per_second >= _MIN_ROWS_PER_SECOND, f"throughput below {_MIN_ROWS_PER_SECOND:.0f}rows/s"),
            (visible_seconds <= _MAX_VISIBLE_SECONDS, f"row visible after {_MAX_VISIBLE_SECONDS:.0f}s"),
        )
        if not kept
    ]


def _append_cost(home: Path) -> tuple[float, float]:
    """Median CPU microseconds of a bare write and of an append of one row with as many bytes."""
    writer = SpoolWriter.open(home / "append", maximum_bytes=1 << 30)
    append_rows(writer, 0, 1)
    asked = request(0, 1)
    record = b"x" * writer.statistics().bytes
    descriptor = os.open(home / "bare", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    bare, append = [], []
    for _ in range(_ROUNDS):
        begun = time.thread_time()
        for _ in range(_CALLS):
            os.write(descriptor, record)
        middle = time.thread_time()
        for _ in range(_CALLS):
            writer.append_predictions(**asked)
        bare.append((middle - begun) / _CALLS * 1e6)
        append.append((time.thread_time() - middle) / _CALLS * 1e6)
    os.close(descriptor)
    writer.close()
    return statistics.median(bare), statistics.median(append)


def _throughput(home: Path) -> tuple[float, float]:
    """Seconds until the lake has all rows of the spool, and median seconds until it has one further row."""
    with running_log(home):
        writer = SpoolWriter.open(home / "spool", maximum_bytes=1 << 30)
        lake = Lake(str(home / "lake"))
        append_rows(writer, 0, 1)
        wait_for_rows(lake, 1)
        for first in range(1, _ROWS + 1, _REQUEST):
            append_rows(writer, first, _REQUEST)
        begun = time.perf_counter()
        wait_for_rows(lake, 1 + _ROWS)
        total = time.perf_counter() - begun
        delays = []
        for extra in range(5):
            append_rows(writer, _ROWS + 1 + extra, 1)
            begun = time.perf_counter()
            wait_for_rows(lake, 2 + _ROWS + extra)
            delays.append(time.perf_counter() - begun)
        writer.close()
        return total, statistics.median(delays)


if __name__ == "__main__":
    raise SystemExit(main())
