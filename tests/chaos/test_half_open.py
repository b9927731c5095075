"""The long form of tests/integration/inference/test_half_open.py: 2,000 connections, and the deadline as it is by default."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from tests.fakes.service_processes import COMMANDS, running
from tests.fakes.toy_model import ToyStore
from tests.integration.inference.conftest import InferenceProcess
from tests.integration.inference.test_half_open import measure_beside
from tests.integration.test_listeners import slowest_beside_half_open
from tests.waiting import bound

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]


def test_two_thousand_half_open_connections_harm_nobody(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    toys = ToyStore(tmp_path)
    release = toys.put_and_release(0.5)
    # The server starts with the usual limit, and raises it; this process needs as many.
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
    server = InferenceProcess(toys.home)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 8192)), hard))
    try:
        server.wait_live()
        server.wait_served(release.version)
        found = measure_beside(server, 2000, seconds=10, per_second=300, deadline_s=10)
    finally:
        server.stop()
    with capsys.disabled():
        print("", found.line())
    assert found.failures == []
    assert found.left_open == 0
    assert found.files_after < found.files_before + 50
    assert found.p99_with <= 1.5 * found.p99_without


@pytest.mark.parametrize("name", COMMANDS)
def test_two_thousand_half_open_connections_harm_no_listener(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 8192)), hard))
    home = tmp_path / "home"
    home.mkdir()
    ToyStore(home).put_and_release(0.5)
    with running(name, home, files=1024) as service:
        slowest = slowest_beside_half_open(service, connections=2000)
    with capsys.disabled():
        print(f"\n{name}: the slowest of 50 answers beside 2,000 half-open connections took {slowest:.2f} s")
    assert slowest < bound(3)
