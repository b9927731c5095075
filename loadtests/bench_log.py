"""Benchmark of the prediction log: cost of a spool append compared with a bare write, and throughput of shipper and sink.

    python -m loadtests.bench_log

Uses a real broker. Append and bare write are measured interleaved, as CPU time, so that other load affects both. The last line
has the figures; the exit status is 0 only if every limit is kept.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from local_stack.kafka.broker import local_broker
from local_stack.kafka.config_files import BrokerFiles
from local_stack.ports import free_port
from local_stack.settings import LocalStackSettings
from shared.models.signed_versions.installation_keys import ensure_keys
from shared.spool import SpoolWriter
from shared.stores.lake import Lake
from shared.stores.lake_statistics import count_predictions

_ROUNDS = 20
_CALLS = 1000
_ROWS = 200_000
_REQUEST = 10
_MODEL = "bench"
_START = datetime(2013, 1, 1, tzinfo=UTC)

# Limits that a machine with two busy cores keeps; a regression of the code by a factor breaks them.
_MAX_APPEND_RATIO = 25.0
_MIN_ROWS_PER_SECOND = 1_000.0
_MAX_VISIBLE_SECONDS = 10.0


def main() -> int:
    """Measure and print; 0 if every limit is kept, else 1."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        bare, append = _append_cost(home)
        seconds, visible = _throughput(home)
    failed = broken_limits(append / bare, _ROWS / seconds, visible)
    print(
        f"bench-log: append={append:.1f}us bare_write={bare:.1f}us ratio={append / bare:.1f} "
        f"shipper_and_sink={_ROWS / seconds:.0f}rows/s row_visible_after={visible:.2f}s "
        f"{'failed: ' + ', '.join(failed) if failed else 'ok'}"
    )
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


def _request(first: int, count: int) -> dict[str, Any]:
    """A request of `count` rows with ten features, as the flights example has them."""
    columns: dict[str, list[object]] = {f"number_{place}": [0.5 * place] * count for place in range(8)}
    columns |= {"carrier": ["UA"] * count, "origin": ["JFK"] * count}
    return {
        "model": _MODEL,
        "version": "a" * 64,
        "generation": 1,
        "event_time": _START,
        "answered_at": datetime.now(UTC),
        "prediction_ids": [f"{row:032d}" for row in range(first, first + count)],
        "scores": [0.25] * count,
        "columns": columns,
        "traceparent": "00-" + "1" * 32 + "-" + "2" * 16 + "-01",
    }


def _append(writer: SpoolWriter, first: int, count: int) -> None:
    if not writer.append_predictions(**_request(first, count)):
        raise SystemExit(f"error: the spool dropped a request: {writer.statistics().last_error}")


def _append_cost(home: Path) -> tuple[float, float]:
    """Median CPU microseconds of a bare write and of an append of one row with as many bytes."""
    writer = SpoolWriter.open(home / "append", maximum_bytes=1 << 30)
    _append(writer, 0, 1)
    request = _request(0, 1)
    record = b"x" * writer.statistics().bytes
    descriptor = os.open(home / "bare", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    bare, append = [], []
    for _ in range(_ROUNDS):
        begun = time.thread_time()
        for _ in range(_CALLS):
            os.write(descriptor, record)
        middle = time.thread_time()
        for _ in range(_CALLS):
            writer.append_predictions(**request)
        bare.append((middle - begun) / _CALLS * 1e6)
        append.append((time.thread_time() - middle) / _CALLS * 1e6)
    os.close(descriptor)
    writer.close()
    return statistics.median(bare), statistics.median(append)


def _throughput(home: Path) -> tuple[float, float]:
    """Seconds until the lake has all rows of the spool, and median seconds until it has one further row."""
    broker = local_broker(
        BrokerFiles(home / "kafka", port=free_port(), controller_port=free_port()), LocalStackSettings()
    )
    broker.start()
    ensure_keys(home)
    environment = dict(
        os.environ,
        HOMEOSTAT_HOME=str(home), HOMEOSTAT_KAFKA=broker.bootstrap, HOMEOSTAT_LOG_LEVEL="error",
        HOMEOSTAT_SHIPPER_PORT="0", HOMEOSTAT_SINK_PORT="0",
    )  # fmt: skip
    processes = []
    try:
        broker.create_topics()
        for name in ("shipper", "sink"):
            command = [sys.executable, "-m", "services.prediction_log", name]
            processes.append(subprocess.Popen(command, env=environment))
        writer = SpoolWriter.open(home / "spool", maximum_bytes=1 << 30)
        lake = Lake(str(home / "lake"))
        _append(writer, 0, 1)
        _wait(lake, 1)
        for first in range(1, _ROWS + 1, _REQUEST):
            _append(writer, first, _REQUEST)
        begun = time.perf_counter()
        _wait(lake, 1 + _ROWS)
        total = time.perf_counter() - begun
        delays = []
        for extra in range(5):
            _append(writer, _ROWS + 1 + extra, 1)
            begun = time.perf_counter()
            _wait(lake, 2 + _ROWS + extra)
            delays.append(time.perf_counter() - begun)
        writer.close()
        return total, statistics.median(delays)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(30)
        broker.stop()


def _wait(lake: Lake, rows: int) -> None:
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        if count_predictions(lake, _MODEL) >= rows:
            return
        time.sleep(0.02)
    raise SystemExit(f"error: {rows} rows were not in the lake within 300 s")


if __name__ == "__main__":
    raise SystemExit(main())
