"""No service creates a file or folder that other users of the machine can read."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from local_stack.ports import free_port
from tests import local_http
from tests.fakes.toy_model import ToyStore
from tests.waiting import bound, eventually

BENTOML = str(Path(sys.executable).with_name("bentoml"))
COMMANDS = {
    "inference": (BENTOML, "serve", "services.inference.service:InferenceService"),
    "shipper": (sys.executable, "-m", "services.prediction_log", "shipper"),
    "sink": (sys.executable, "-m", "services.prediction_log", "sink"),
    "drift": (sys.executable, "-m", "services.drift"),
    "retraining": (sys.executable, "-m", "services.retraining"),
    "console": (sys.executable, "-m", "services.console"),
}


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
    port = free_port()
    environment = {
        **os.environ,
        "HOMEOSTAT_HOME": str(home),
        "HOMEOSTAT_KAFKA": "127.0.0.1:1",
        "HOMEOSTAT_RETRAINING_MLFLOW": "false",
        "BENTOML_HOME": str(tmp_path / "bentoml"),
        f"HOMEOSTAT_{name.upper()}_PORT": str(port),
        "BENTOML_PORT": str(port),
    }
    with subprocess.Popen(
        COMMANDS[name],
        cwd=Path(__file__).parents[2],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            eventually(lambda: is_live(port), f"{name} answers", within_s=120)
            workers = psutil.Process(process.pid).children(recursive=True)
            umasks = [umask_of(pid) for pid in (process.pid, *(worker.pid for worker in workers))]
            assert "0077" in umasks
            created = set(home.rglob("*")) - before
            assert created or name in ("console", "sink", "shipper")
            readable = [path for path in created if path.lstat().st_mode & 0o077]
            # The key that verifies signatures is public.
            assert [path.name for path in readable if path.name != "verifying.pem"] == []
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(bound(30))
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


def is_live(port: int) -> bool:
    try:
        return local_http.get(f"http://127.0.0.1:{port}/health/live").status_code == 200
    except httpx.TransportError:
        return False


def umask_of(pid: int) -> str:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line.split()[1] for line in lines if line.startswith("Umask:"))
