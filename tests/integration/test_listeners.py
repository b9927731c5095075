"""Each service on a released model: which ports and files it opens, and what half-open connections do to its other clients.

1. It opens its own port and no other one. BentoML's supervisor is controlled by Circus, whose control socket runs any command for
   whoever can connect: it lies in a folder that only the service's user can enter.
2. It creates no file or folder that other users of the machine can read.
3. Hundreds of clients that begin a request and never end it harm no other client, with few open files. What they cost predictions
   is measured in tests/integration/inference/test_half_open.py.

One process of each service for all three, and one of each kind with TLS.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from local_stack.certificates import create_certificates
from shared.http.connections import RECEIVE_SECONDS
from tests import local_http
from tests.fakes.half_open import HalfOpen
from tests.fakes.service_processes import COMMANDS, RunningService, running
from tests.fakes.toy_model import ToyStore
from tests.waiting import bound

CONNECTIONS, FILES = 500, 256
# Each kind of listener: BentoML's, that of metrics, and that of an application, which the other services have, too.
ENCRYPTED = ("inference", "shipper", "console")


@dataclass(frozen=True)
class Started:
    """A service that answers, and the files below its home that were there before it."""

    name: str
    home: Path
    before: frozenset[Path]
    service: RunningService

    def processes(self) -> list[psutil.Process]:
        parent = psutil.Process(self.service.process.pid)
        return [parent, *parent.children(recursive=True)]


@pytest.fixture(scope="module", params=COMMANDS)
def started(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    home = tmp_path_factory.mktemp(request.param) / "home"
    before_umask = os.umask(0o022)
    home.mkdir()
    ToyStore(home).put_and_release(0.5)
    before = frozenset(home.rglob("*"))
    with running(request.param, home, files=FILES) as service:
        os.umask(before_umask)
        yield Started(request.param, home, before, service)


def test_service_creates_private_files_only(started: Started) -> None:
    assert "0077" in [umask_of(process.pid) for process in started.processes()]
    created = set(started.home.rglob("*")) - started.before
    assert created or started.name in ("console", "sink", "shipper")
    readable = [path for path in created if path.lstat().st_mode & 0o077]
    # The key that verifies signatures is public.
    assert [path.name for path in readable if path.name != "verifying.pem"] == []


def test_only_the_service_port_is_open(started: Started) -> None:
    processes = started.processes()
    listening = {
        connection.laddr.port
        for process in processes
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {started.service.port}
    folders = {path.parent for path in control_sockets(processes)}
    assert [folder for folder in folders if folder.stat().st_mode & 0o077] == []
    assert bool(folders) == (started.name == "inference")


def test_half_open_connections_harm_nobody(started: Started) -> None:
    assert slowest_beside_half_open(started.service) < bound(3)


@pytest.mark.parametrize("name", ENCRYPTED)
def test_half_done_tls_handshakes_harm_nobody(tmp_path: Path, name: str) -> None:
    home = tmp_path / "home"
    home.mkdir()
    ToyStore(home).put_and_release(0.5)
    certificates = create_certificates(tmp_path / "tls")
    with running(name, home, files=FILES, certificates=certificates) as service:
        assert slowest_beside_half_open(service) < bound(3)


def slowest_beside_half_open(service: RunningService, connections: int = CONNECTIONS) -> float:
    """The slowest answer to an honest client in seconds, while so many connections are half-open."""
    slowest = 0.0
    with HalfOpen(service.port, connections, tls=service.scheme == "https") as half_open:
        for number in range(50):
            begun = time.monotonic()
            path = ("/health/live", "/metrics")[number % 2]
            answer = local_http.get(f"{service.url}{path}", timeout=bound(10))
            assert answer.status_code == 200
            slowest = max(slowest, time.monotonic() - begun)
        assert half_open.wait_closed(bound(RECEIVE_SECONDS + 5)) == 0
        assert service.is_live()
    return slowest


def umask_of(pid: int) -> str:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line.split()[1] for line in lines if line.startswith("Umask:"))


def control_sockets(processes: list[psutil.Process]) -> list[Path]:
    """The UNIX sockets in the file system on which processes listen."""
    inodes = set()
    for process in processes:
        for link in Path(f"/proc/{process.pid}/fd").iterdir():
            try:
                target = str(link.readlink())
            except OSError:  # closed meanwhile
                continue
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    lines = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()[1:]]
    return [
        Path(line[7]) for line in lines if len(line) > 7 and line[6] in inodes and line[7].startswith("/")
    ]
