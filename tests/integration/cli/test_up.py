"""`homeostat up` that cannot start: said at once, in the words of what is wrong, whichever way it was started."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from local_stack.state import read_state
from local_stack.supervisor.lock import supervisor_pid
from tests.waiting import bound

ROOT = Path(__file__).parents[3]


def up(home: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cli", "up", "--home", str(home), "--free-ports", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=bound(100),
        check=False,
    )


@pytest.mark.parametrize("manner", [(), ("--detach",)])
def test_taken_port_is_named_and_nothing_is_left(tmp_path: Path, manner: tuple[str, ...]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = up(tmp_path, f"--drift-port={port}", *manner)
        as_json = up(tmp_path, f"--drift-port={port}", "--json", *manner)
    assert done.returncode == as_json.returncode == 5
    assert f"error: port {port} on 127.0.0.1 is taken by " in done.stderr
    assert "hint: stop that process, or choose another port with HOMEOSTAT_DRIFT_PORT" in done.stderr
    assert json.loads(as_json.stdout)["exit_code"] == 5
    assert read_state(tmp_path) is None
    assert supervisor_pid(tmp_path) is None


def test_wrong_java_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEOSTAT_JAVA_HOME", str(tmp_path))
    done = up(tmp_path / "home", "--detach")
    assert done.returncode == 5
    assert "HOMEOSTAT_JAVA_HOME" in done.stderr


def test_unwritable_home_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = up(tmp_path / "file" / "home", "--detach")
    assert done.returncode == 5
    assert "error: Not a directory: " in done.stderr
