"""The console as a process: it starts without other services, responds, and stops on a signal."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx

from local_stack.ports import free_port
from tests import local_http
from tests.waiting import bound, time_factor

ROOT = Path(__file__).parents[3]


def start(home: Path, port: int, *command: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "HOMEOSTAT_HOME": str(home), "HOMEOSTAT_CONSOLE_PORT": str(port)}
    nobody = f"http://127.0.0.1:{free_port()}"
    for name in ("INFERENCE", "SHIPPER", "SINK", "DRIFT", "RETRAINING"):
        environment[f"HOMEOSTAT_{name}_URL"] = nobody
    return subprocess.Popen(
        [sys.executable, "-m", *(command or ("services.console",))],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_live(process: subprocess.Popen[str], port: int) -> None:
    deadline = time.monotonic() + 60 * time_factor()
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if local_http.get(f"http://127.0.0.1:{port}/health/live", timeout=5).json() == {"live": True}:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError(f"the console is not there: {process.communicate(timeout=bound(10))}")


def test_console_runs_without_other_services(tmp_path: Path) -> None:
    port = free_port()
    process = start(tmp_path, port)
    try:
        wait_live(process, port)
        document = local_http.get(f"http://127.0.0.1:{port}/status.json", timeout=20).json()
        away = {one["name"] for one in document["components"] if one["condition"] == "unreachable"}
        assert away == {"inference", "shipper", "sink", "drift", "retraining"}
        assert "Connection refused" in local_http.get(f"http://127.0.0.1:{port}/", timeout=20).text
        process.send_signal(signal.SIGTERM)
        assert process.wait(bound(30)) == 0
        assert "Traceback" not in process.communicate()[1]
    finally:
        process.kill()
    assert list(tmp_path.iterdir()) == []  # it stores nothing


def test_command_prints_the_url(tmp_path: Path) -> None:
    port = free_port()
    process = start(tmp_path, port, "cli", "console", "--json")
    try:
        wait_live(process, port)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=bound(30))[0]
    finally:
        process.kill()
    assert json.loads(said) == {"console": f"http://127.0.0.1:{port}/"}


def test_taken_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = start(tmp_path, taken.getsockname()[1])
        said = process.communicate(timeout=bound(60))[1]
    assert process.returncode == 1
    assert "cannot be opened: Address already in use" in said
    assert "HOMEOSTAT_CONSOLE_PORT" in said
