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


def printed(process: subprocess.Popen[str]) -> dict[str, str]:
    """The JSON document that a command prints while it goes on."""
    assert process.stdout is not None
    lines: list[str] = []
    while not lines or lines[-1].rstrip() != "}":
        lines.append(process.stdout.readline())
        assert lines[-1], process.communicate(timeout=bound(10))
    found: dict[str, str] = json.loads("".join(lines))
    return found


def opened(link: str) -> httpx.Response:
    """Open a link as a browser does whose user has pasted it."""
    return local_http.get(link, headers={"Sec-Fetch-Site": "none"}, timeout=bound(20))


def test_command_prints_a_link_that_logs_in_once(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    process = start(tmp_path, port, "cli", "console", "--json")
    try:
        first = printed(process)
        # Where a console runs already, the command only prints another link.
        other = start(tmp_path, port, "cli", "console", "--json")
        second = json.loads(other.communicate(timeout=bound(60))[0])
        assert other.returncode == 0
        key = (tmp_path / "keys" / "local.key").read_text().strip()
        for made in (first, second):
            assert made["console"] == url
            assert made["login"].startswith(f"{url}login?code=")
            assert key not in made["login"]
            answer = opened(made["login"])
            assert (answer.status_code, answer.headers["Location"]) == (303, "/")
            cookie = answer.headers["Set-Cookie"].partition(";")[0]
            page = local_http.get(url, headers={"Cookie": cookie}, timeout=bound(20)).text
            assert "Logged in as <strong>local</strong>" in page
            assert opened(made["login"]).status_code == 401
        process.send_signal(signal.SIGINT)
        assert process.wait(bound(30)) == 0
        logged = process.communicate(timeout=bound(30))[1]
        assert "logged_in" in logged
        for made in (first, second):
            assert made["login"].partition("code=")[2] not in logged
        assert key not in logged
    finally:
        process.kill()


def test_console_of_another_installation_gives_no_link(tmp_path: Path) -> None:
    port = free_port()
    process = start(tmp_path / "theirs", port)
    try:
        wait_live(process, port)
        mine = start(tmp_path / "mine", port, "cli", "console", "--json")
        said = json.loads(mine.communicate(timeout=bound(60))[0])
        assert "there is no API key to log in with" in said["error"]
        assert mine.returncode != 0
    finally:
        process.kill()


def test_taken_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = start(tmp_path, taken.getsockname()[1])
        said = process.communicate(timeout=bound(60))[1]
    assert process.returncode == 1
    assert "cannot be opened: Address already in use" in said
    assert "HOMEOSTAT_CONSOLE_PORT" in said
