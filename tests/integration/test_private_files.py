"""No service creates a file or folder that other users of the machine can read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.fakes.service_processes import COMMANDS, running
from tests.fakes.toy_model import ToyStore


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.parametrize("name", COMMANDS)
def test_service_creates_private_files_only(tmp_path: Path, name: str) -> None:
    home = tmp_path / "home"
    home.mkdir()
    ToyStore(home).put_and_release(0.5)
    before = set(home.rglob("*"))
    with running(name, home) as service:
        workers = psutil.Process(service.process.pid).children(recursive=True)
        umasks = [umask_of(pid) for pid in (service.process.pid, *(worker.pid for worker in workers))]
        assert "0077" in umasks
        created = set(home.rglob("*")) - before
        assert created or name in ("console", "sink", "shipper")
        readable = [path for path in created if path.lstat().st_mode & 0o077]
        # The key that verifies signatures is public.
        assert [path.name for path in readable if path.name != "verifying.pem"] == []


def umask_of(pid: int) -> str:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line.split()[1] for line in lines if line.startswith("Umask:"))
