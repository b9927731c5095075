"""Ports: taken ones are named with their holder and setting."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from local_stack import ports
from local_stack.ports import free_port, holder, home_on, is_free, require_free
from local_stack.running_stacks import VARIABLE
from local_stack.state import write_state
from shared.contracts.stack_state import ProcessState, StackState, state_path
from shared.errors import OperatorError

LISTEN = "import socket; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); input()"


@contextmanager
def listener_of(home: Path) -> Iterator[tuple[int, int]]:
    """Pid and port of a process with the environment that the supervisor of `home` gives to its processes."""
    process = subprocess.Popen(
        [sys.executable, "-c", LISTEN],
        env={**os.environ, VARIABLE: str(state_path(home))},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        yield process.pid, int(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


def write_stack(home: Path, pid: int, port: int) -> None:
    started = ProcessState("sink", pid, psutil.Process(pid).create_time(), port, 0, "", "")
    write_state(home, StackState(1, 0.0, str(home), "", "", {}, {}, (started,)))


def test_free_port_is_accepted() -> None:
    port = free_port()
    assert is_free("127.0.0.1", port)
    require_free("127.0.0.1", port, "HOMEOSTAT_DRIFT_PORT")


def test_free_port_has_no_closing_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    closing, other = free_port(), free_port()
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", closing))
        server.listen()
        client = socket.create_connection(("127.0.0.1", closing))
        accepted, _ = server.accept()
        accepted.close()  # this side closes first, and keeps the port in TIME_WAIT
        client.close()
    assert is_free("127.0.0.1", closing)
    monkeypatch.setattr("local_stack.ports._choose", lambda _: True)  # both were chosen a moment ago
    choices = iter([closing, other])
    monkeypatch.setattr("local_stack.ports.secrets.choice", lambda _: next(choices))
    assert free_port() == other


def test_taken_port_names_process_and_setting() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"(pid {os.getpid()})" in holder(port)
        with pytest.raises(OperatorError) as raised:
            require_free("127.0.0.1", port, "HOMEOSTAT_DRIFT_PORT")
    assert f"port {port} on 127.0.0.1 is taken by" in raised.value.message
    assert "HOMEOSTAT_DRIFT_PORT" in raised.value.hint


def test_port_of_another_stack_names_its_home_and_the_command(tmp_path: Path) -> None:
    with listener_of(tmp_path) as (pid, port):
        write_stack(tmp_path, pid, port)
        with pytest.raises(OperatorError) as raised:
            require_free("127.0.0.1", port, "HOMEOSTAT_SINK_PORT")
    assert f"is taken by the stack of {tmp_path}: " in raised.value.message
    assert f"(pid {pid})" in raised.value.message
    assert f"stop that stack with `homeostat down --home {tmp_path}`" in raised.value.hint
    assert "HOMEOSTAT_SINK_PORT" in raised.value.hint


def test_console_of_its_own_is_no_part_of_the_stack(tmp_path: Path) -> None:
    """`homeostat console` has the environment of a stack's process, and `homeostat down` does not stop it."""
    with listener_of(tmp_path) as (_, port):
        write_stack(tmp_path, os.getpid(), port)
        with pytest.raises(OperatorError) as raised:
            require_free("127.0.0.1", port, "HOMEOSTAT_CONSOLE_PORT")
    assert "the stack of" not in raised.value.message
    assert raised.value.hint == "stop that process, or choose another port with HOMEOSTAT_CONSOLE_PORT"


def test_home_on_a_port_is_that_of_its_stack(tmp_path: Path) -> None:
    with listener_of(tmp_path) as (pid, port):
        assert home_on(port) is None
        write_stack(tmp_path, pid, port)
        assert home_on(port) == tmp_path
    assert home_on(free_port()) is None


def test_port_that_another_process_chose_lately_is_not_chosen_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing listens on it yet, so only the note tells."""
    monkeypatch.setattr(ports, "_can_bind", lambda *_, **__: True)
    monkeypatch.setattr(ports, "_CANDIDATES", range(15_000, 15_002))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    chosen = {free_port(), free_port()}
    assert chosen == {15_000, 15_001}
    with pytest.raises(OperatorError):
        free_port()
    (notes,) = tmp_path.iterdir()
    assert notes.stat().st_mode & 0o777 == 0o600
    # A choice is forgotten: its server listens by now, or never will.
    notes.write_text("".join(f"{port} {time.time() - 121}\n" for port in chosen) + "no note\n")
    assert free_port() in chosen
    notes.unlink()
    notes.mkdir()
    assert free_port() in chosen, "without the file, too"
