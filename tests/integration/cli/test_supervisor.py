"""The supervisor on a real broker and small real services: ready, restarts, one at a time, orderly end, left-overs."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from local_stack.observability.processes import Observability
from local_stack.ports import free_port, is_free
from local_stack.settings import LocalStackSettings
from local_stack.state import read_state, run_folder, write_state
from local_stack.supervisor.lock import is_supervised, only_one, supervisor_pid
from local_stack.supervisor.orphans import is_alive, stop_orphans
from local_stack.supervisor.process_specs import ProcessSpec
from local_stack.supervisor.readiness import wait_until_ready
from local_stack.supervisor.supervisor import Supervisor
from shared.contracts.stack_state import ProcessState, StackState
from shared.errors import Conflict, OperatorError
from tests.waiting import bound, time_factor

SERVICE = Path(__file__).with_name("small_service.py")


def spec(name: str, *extra: str, needs_broker: bool = True) -> ProcessSpec:
    port = free_port()
    return ProcessSpec(
        name,
        (sys.executable, str(SERVICE), str(port), *extra),
        port,
        f"HOMEOSTAT_{name.upper()}_PORT",
        "/ready",
        needs_broker,
    )


def until(condition: Callable[[], bool], within_s: float, what: str) -> None:
    ends = time.monotonic() + within_s * time_factor()
    while not condition():
        assert time.monotonic() < ends, f"not within {within_s} s: {what}"
        time.sleep(0.05)


class Running:
    """A supervisor at work in a thread."""

    def __init__(
        self,
        settings: LocalStackSettings,
        specs: list[ProcessSpec],
        observability: Observability | None = None,
    ) -> None:
        self.said: list[str] = []
        self.failed: list[BaseException] = []
        self.supervisor = Supervisor(
            settings, specs=specs, observability=observability, on_progress=self.said.append
        )
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.supervisor.run()
        except BaseException as error:
            self.failed.append(error)

    def is_running(self) -> bool:
        return self._thread.is_alive()

    def end(self) -> None:
        self.supervisor.stop()
        self._thread.join(60)
        assert not self._thread.is_alive()


@pytest.fixture
def settings(tmp_path: Path) -> LocalStackSettings:
    return LocalStackSettings().model_copy(
        update={"home": tmp_path / "home", "broker_port": free_port(), "controller_port": free_port()}
    )


@pytest.fixture
def running(settings: LocalStackSettings) -> Iterator[Running]:
    """Broker, `early` that waits for nobody, `late` that needs the broker."""
    stack = Running(settings, [spec("late"), spec("early", needs_broker=False)])
    try:
        yield stack
    finally:
        stack.end()


def wait_ready(settings: LocalStackSettings, stack: Running) -> StackState:
    names = ["kafka", "late", "early"]
    return wait_until_ready(settings, deadline_s=90, names=names, alive=stack.is_running)


def process(settings: LocalStackSettings, name: str) -> ProcessState:
    state = read_state(settings.home)
    assert state is not None
    return next(process for process in state.processes if process.name == name)


def test_stack_life_cycle(settings: LocalStackSettings, running: Running) -> None:
    state = wait_ready(settings, running)
    assert [process.name for process in state.processes] == ["kafka", "late", "early"]
    broker = process(settings, "kafka")
    assert is_supervised(settings.home)
    assert (settings.home / "keys" / "signing.pem").stat().st_mode & 0o777 == 0o600

    # Who else starts on the same home is refused, and nothing is touched.
    with pytest.raises(Conflict, match=f"pid {os.getpid()}.*already runs"):
        Supervisor(settings, specs=[]).run()

    # What dies is started again, and counted; the others are left alone.
    before = process(settings, "late")
    untouched = process(settings, "early")
    os.kill(before.pid, signal.SIGKILL)
    until(lambda: process(settings, "late").restarts == 1, 20, "late is started again")
    assert process(settings, "late").pid != before.pid
    assert process(settings, "early") == untouched
    assert running.said == ["late exited with status -9; restarting it"]
    wait_ready(settings, running)

    # A disk that takes no state file ends nothing, and keeps nobody from being started again.
    path = run_folder(settings.home) / "supervisor.json"
    early = process(settings, "early")
    path.unlink()
    path.mkdir()
    os.kill(early.pid, signal.SIGKILL)
    until(lambda: is_free("127.0.0.1", early.port), 10, "early is gone")
    until(lambda: not is_free("127.0.0.1", early.port), 20, "early is started again")
    assert any("the state file cannot be written" in said for said in running.said)
    path.rmdir()
    until(lambda: read_state(settings.home) is not None, 10, "the state is written once it can be")
    assert process(settings, "early").restarts == 1

    # The broker too, on its old data.
    os.kill(broker.pid, signal.SIGKILL)
    until(lambda: process(settings, "kafka").restarts == 1, 20, "the broker is started again")
    wait_ready(settings, running)

    pids = [found.pid for found in read_state(settings.home).processes]  # type: ignore[union-attr]
    running.end()
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert read_state(settings.home) is None
    assert not is_supervised(settings.home)


def test_observability_does_not_delay_the_start(settings: LocalStackSettings, tmp_path: Path) -> None:
    """One that cannot be started at all is reported once and retried; one that dies is restarted; both are no part of ready."""
    unable = replace(spec("prometheus", needs_broker=False), command=("/nowhere/prometheus",), is_core=False)
    able = replace(spec("alertmanager", needs_broker=False), is_core=False)
    config = tmp_path / "home" / "observability" / "prometheus.yml"
    watching = Observability(
        settings.home,
        (unable, able),
        {config: "global: {}"},
        config.with_name("web.yml"),
        {"prometheus": "http://127.0.0.1:1/alerts"},
    )
    stack = Running(settings, [spec("late")], watching)
    try:
        state = wait_until_ready(
            settings, deadline_s=120, names=["kafka", "late", "alertmanager"], alive=stack.is_running
        )
        assert config.read_text() == "global: {}"
        # Whoever may ask them has the password.
        assert (settings.home / "keys" / "monitoring.password").stat().st_mode & 0o777 == 0o600
        assert state.urls["prometheus"] == "http://127.0.0.1:1/alerts"
        assert [said.split(":")[0] for said in stack.said] == ["prometheus cannot be started"]
        first = process(settings, "alertmanager")
        os.kill(first.pid, signal.SIGKILL)
        until(lambda: process(settings, "alertmanager").restarts == 1, 20, "it is started again")
        assert is_alive(process(settings, "late"))
        assert process(settings, "late").restarts == 0
    finally:
        stack.end()
    assert stack.failed == []


def test_taken_port_prevents_the_start(settings: LocalStackSettings) -> None:
    wanted = spec("late")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", wanted.port))
        taken.listen()
        with pytest.raises(OperatorError, match=f"port {wanted.port} .*HOMEOSTAT_LATE_PORT"):
            Supervisor(settings, specs=[wanted]).run()
    assert not (settings.home / "kafka").exists()
    assert not is_supervised(settings.home)


def left_over(home: Path, *extra: str) -> tuple[subprocess.Popen[bytes], ProcessState]:
    wanted = spec("late", *extra)
    orphan = subprocess.Popen(wanted.command, start_new_session=True)
    until(lambda: not is_free("127.0.0.1", wanted.port), 20, "the orphan listens")
    state = ProcessState(
        name="late",
        pid=orphan.pid,
        created=psutil.Process(orphan.pid).create_time(),
        port=wanted.port,
        restarts=0,
        log="",
        ready_url="",
    )
    write_state(
        home,
        StackState(
            pid=1, created=0.0, home=str(home), kafka="", started_at="", ports={}, urls={}, processes=(state,)
        ),
    )
    return orphan, state


@pytest.mark.parametrize("manner", [(), ("stubborn",)])
def test_orphans_are_stopped(tmp_path: Path, manner: tuple[str, ...]) -> None:
    orphan, state = left_over(tmp_path, *manner)
    found = read_state(tmp_path)
    assert found is not None
    assert is_alive(state)
    assert stop_orphans(found.processes, grace_s=1.0) == ["late"]
    assert orphan.wait(bound(10)) == (-signal.SIGKILL if manner else 0)
    assert stop_orphans(found.processes, grace_s=1.0) == []


def test_process_with_reused_pid_is_not_killed(tmp_path: Path) -> None:
    orphan, state = left_over(tmp_path)
    try:
        mistaken = replace(state, created=state.created - 3600)
        assert not is_alive(mistaken)
        assert stop_orphans([mistaken], grace_s=1.0) == []
        assert orphan.poll() is None
    finally:
        orphan.kill()
        orphan.wait(bound(10))


def test_lock_names_the_supervisor_if_state_is_stale(tmp_path: Path) -> None:
    orphan, _ = left_over(tmp_path)
    try:
        assert supervisor_pid(tmp_path) is None
        with only_one(tmp_path):
            assert supervisor_pid(tmp_path) == os.getpid()
        assert supervisor_pid(tmp_path) is None
    finally:
        orphan.kill()
        orphan.wait(bound(10))


def test_lock_of_another_process_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with (tmp_path / "run" / "supervisor.lock").open("a") as stranger:
        fcntl.flock(stranger, fcntl.LOCK_EX)
        with pytest.raises(OperatorError, match="not a supervisor"):
            supervisor_pid(tmp_path)


def test_orphans_do_not_count_as_ready(tmp_path: Path) -> None:
    orphan, state = left_over(tmp_path)
    settings = LocalStackSettings().model_copy(update={"home": tmp_path})
    try:
        found = read_state(tmp_path)
        assert found is not None
        ready = replace(state, ready_url=f"http://127.0.0.1:{state.port}/ready")
        write_state(tmp_path, replace(found, processes=(ready,)))
        assert wait_until_ready(settings, deadline_s=10, names=["late"]).pid == 1
        with pytest.raises(OperatorError, match=r"not ready after .*: late"):
            wait_until_ready(settings, deadline_s=0.5, names=["late"], supervisor=os.getpid())
    finally:
        orphan.kill()
        orphan.wait(bound(10))


def test_truncated_state_file_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "supervisor.json").write_text('{"pid": 1,')
    assert read_state(tmp_path) is None
