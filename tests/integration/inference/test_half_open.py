"""Clients that begin a request and never end it, beside honest ones; the long form is in tests/chaos."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fakes.half_open import HalfOpen
from tests.fakes.paced_load import PacedLoad
from tests.fakes.socket_server import request
from tests.fakes.toy_model import ROW, ToyStore
from tests.integration.inference.conftest import InferenceProcess
from tests.waiting import bound, eventually

PREDICT = request("/predict", json.dumps({"model": "toy", "rows": [ROW]}).encode())
DEADLINE_S = 3


@dataclass(frozen=True)
class Beside:
    """p99 in seconds of honest clients without and with half-open connections, and what became of these."""

    connections: int
    p99_without: float
    p99_with: float
    honest: int
    failures: list[str]
    left_open: int
    files_before: int
    files_during: int
    files_after: int

    def line(self) -> str:
        """The figures in one line."""
        return (
            f"half-open: {self.connections} connections, {self.left_open} still open after the deadline; open files "
            f"{self.files_before}, {self.files_during}, {self.files_after} before, during and after; "
            f"{self.honest} honest requests, {len(self.failures)} failed, p99 {1e3 * self.p99_with:.1f} ms beside "
            f"them, {1e3 * self.p99_without:.1f} ms without "
            f"(x {self.p99_with / self.p99_without:.2f})"
        )


def measure_beside(
    server: InferenceProcess, connections: int, *, seconds: float, per_second: float, deadline_s: float
) -> Beside:
    """Honest clients for `seconds` alone, then beside half-open connections until the server has closed them."""
    worker = server.worker()
    with PacedLoad(server.port, [PREDICT], per_second=per_second, connections=16) as load:
        time.sleep(1)
        start = time.monotonic()
        time.sleep(seconds)
        files_before = worker.num_fds()
        with HalfOpen(server.port, connections) as half_open:
            opened = time.monotonic()
            # Those that wait to be accepted are no open files of the server yet.
            files_during = eventually(
                lambda: files if (files := worker.num_fds()) > files_before + 0.9 * connections else 0,
                "the connections are accepted",
                within_s=deadline_s / 2,
            )
            left_open = half_open.wait_closed(bound(2 * deadline_s))
            closed = time.monotonic()
        files_after = worker.num_fds()
    return Beside(
        connections,
        load.record.percentile(0.99, start, start + seconds),
        load.record.percentile(0.99, opened, closed),
        len(load.record.due),
        load.record.failures,
        left_open,
        files_before,
        files_during,
        files_after,
    )


@pytest.fixture
def server(tmp_path: Path) -> Iterator[InferenceProcess]:
    toys = ToyStore(tmp_path)
    release = toys.put_and_release(0.5)
    server = InferenceProcess(toys.home, HOMEOSTAT_INFERENCE_RECEIVE_SECONDS=str(DEADLINE_S))
    try:
        server.wait_live()
        server.wait_served(release.version)
        yield server
    finally:
        server.stop()


def test_half_open_connections_are_closed_and_harm_nobody(
    server: InferenceProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    found = measure_beside(server, 600, seconds=2, per_second=200, deadline_s=DEADLINE_S)
    with capsys.disabled():
        print("", found.line())
    assert found.failures == []
    assert found.left_open == 0
    assert found.files_after < found.files_before + 50
    assert found.p99_with < max(2 * found.p99_without, bound(0.25))
