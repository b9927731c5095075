"""Hundreds of clients that begin a request and never end it harm no other client, on any listener, with few open files.

What half-open connections cost predictions is measured in tests/integration/inference/test_half_open.py.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from local_stack.certificates import CertificateFolder, create_certificates
from shared.http.connections import RECEIVE_SECONDS
from tests import local_http
from tests.fakes.half_open import HalfOpen
from tests.fakes.service_processes import running
from tests.fakes.toy_model import ToyStore
from tests.waiting import bound

LISTENERS = ("inference", "shipper", "sink", "drift", "retraining", "console")


def assert_unharmed(
    name: str, home: Path, *, connections: int, files: int, certificates: CertificateFolder | None = None
) -> float:
    """The slowest answer to an honest client in seconds, while so many connections are half-open."""
    slowest = 0.0
    ToyStore(home).put_and_release(0.5)
    with (
        running(name, home, files=files, certificates=certificates) as service,
        HalfOpen(service.port, connections, tls=certificates is not None) as half_open,
    ):
        for number in range(50):
            begun = time.monotonic()
            path = ("/health/live", "/metrics")[number % 2]
            answer = local_http.get(f"{service.url}{path}", timeout=bound(10))
            assert answer.status_code == 200
            slowest = max(slowest, time.monotonic() - begun)
        assert half_open.wait_closed(bound(RECEIVE_SECONDS + 5)) == 0
        assert service.is_live()
    return slowest


@pytest.mark.parametrize("name", LISTENERS)
def test_half_open_connections_harm_nobody(tmp_path: Path, name: str) -> None:
    home = tmp_path / "home"
    home.mkdir()
    assert assert_unharmed(name, home, connections=500, files=256) < bound(3)


@pytest.mark.parametrize("name", LISTENERS)
def test_half_done_tls_handshakes_harm_nobody(tmp_path: Path, name: str) -> None:
    home = tmp_path / "home"
    home.mkdir()
    certificates = create_certificates(tmp_path / "tls")
    assert assert_unharmed(name, home, connections=500, files=256, certificates=certificates) < bound(3)
