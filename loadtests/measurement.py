"""Measures one server under load: throughput, latency and CPU cost. Uses wrk if it is installed, else our own generator."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from loadtests.contenders import Running, headers_of
from loadtests.load import generate, post
from loadtests.workloads import WorkloadRequest

_SCRIPT = Path(__file__).with_name("load.lua")


@dataclass(frozen=True)
class Measurement:
    """`cpu_us`: CPU microseconds of the server's processes per answer."""

    answers: int
    seconds: float
    cpu_us: float
    p50_ms: float
    p99_ms: float
    errors: int

    @property
    def per_second(self) -> float:
        """Answers a second."""
        return self.answers / self.seconds


def measure(
    server: Running, request: WorkloadRequest, folder: Path, *, seconds: float, connections: int
) -> Measurement:
    """Load the server with one request, repeated."""
    before = server.cpu_seconds()
    load = _by_wrk if shutil.which("wrk") else _by_generator
    answers, p50_ms, p99_ms, errors = load(server, request, folder, seconds, connections)
    cpu = server.cpu_seconds() - before
    return Measurement(answers, seconds, 1e6 * cpu / max(1, answers), p50_ms, p99_ms, errors)


def _by_wrk(
    server: Running, request: WorkloadRequest, folder: Path, seconds: float, connections: int
) -> tuple[int, float, float, int]:
    headers = headers_of(request, folder)
    command = [
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{max(1, round(seconds))}s",
        "--timeout",
        "10s",
        "-s",
        str(_SCRIPT),
    ]
    command += [f"http://127.0.0.1:{server.port}{request.path}", "--", str(folder / request.body)]
    command += [f"{name}={value}" for name, value in headers.items()]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=seconds + 60, start_new_session=True
    )
    text = done.stdout
    found = json.loads(next(line for line in text.splitlines() if line.startswith("RESULT "))[7:])
    return found["answers"], found["p50_us"] / 1e3, found["p99_us"] / 1e3, found["errors"]


def _by_generator(
    server: Running, request: WorkloadRequest, folder: Path, seconds: float, connections: int
) -> tuple[int, float, float, int]:
    raw = post(request.path, (folder / request.body).read_bytes(), headers_of(request, folder))
    load = generate("127.0.0.1", server.port, raw, connections=connections, seconds=seconds)
    return (
        len(load.latencies),
        1e3 * load.percentile(0.5),
        1e3 * load.percentile(0.99),
        load.errors,
    )
