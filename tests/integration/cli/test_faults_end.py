"""Injected outages end: the process is restarted, however the command ended."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from local_stack.fault_injection.outages import kill_and_wait, stop_for
from local_stack.fault_injection.processes import find_process, kill, running_stack
from local_stack.settings import LocalStackSettings
from local_stack.state import read_state
from local_stack.supervisor.readiness import wait_until_ready
from local_stack.supervisor.restart_suppression import is_suppressed, suppress_restarts
from shared.errors import Conflict, NotFound, OperatorError
from tests.integration.cli.test_supervisor import Running, left_over, process, settings, spec
from tests.waiting import bound, time_factor

__all__ = ["settings"]  # a fixture
ROOT = Path(__file__).parents[3]


def until(condition: Callable[[], bool], within_s: float, what: str) -> None:
    ends = time.monotonic() + within_s * time_factor()
    while not condition():
        assert time.monotonic() < ends, f"not within {within_s} s: {what}"
        time.sleep(0.02)


@pytest.fixture
def running(settings: LocalStackSettings) -> Iterator[Running]:
    """A supervisor with one small service that waits for nobody."""
    stack = Running(settings, [spec("early", needs_broker=False)])
    try:
        wait_until_ready(settings, deadline_s=60, names=["early"], alive=stack.is_running)
        yield stack
    finally:
        stack.end()


def test_process_is_down_for_the_time_then_restarted(settings: LocalStackSettings, running: Running) -> None:
    before = process(settings, "early")
    seen: list[bool] = []

    def look(_: float) -> None:
        seen.append(psutil.pid_exists(before.pid) or process(settings, "early").pid != before.pid)

    back = stop_for(settings, "early", 3.0, on_progress=look)
    assert back < 30
    # A restart is due after half a second: the suppression kept it down for three.
    assert not any(seen[3:])
    assert len(seen) >= 10
    assert process(settings, "early").restarts == before.restarts + 1
    assert not is_suppressed(settings.home, "early")


def test_killed_process_is_restarted(settings: LocalStackSettings, running: Running) -> None:
    before = process(settings, "early")
    kill_and_wait(settings, "early")
    assert process(settings, "early").pid != before.pid


def test_process_restarts_after_the_command_is_killed(settings: LocalStackSettings, running: Running) -> None:
    before = process(settings, "early")
    command = injecting(settings, "stop_for(settings, 'early', 60.0)")
    until(lambda: is_suppressed(settings.home, "early"), 20, "the suppression")
    until(lambda: not psutil.pid_exists(before.pid), 20, "early is gone")
    time.sleep(1.5)
    assert process(settings, "early").pid == before.pid
    command.kill()
    command.wait(bound(10))
    until(lambda: process(settings, "early").pid != before.pid, 20, "early is started again")


def test_only_processes_of_a_supervised_stack_are_killed(
    settings: LocalStackSettings, running: Running, tmp_path: Path
) -> None:
    with pytest.raises(NotFound, match="no process nobody"):
        stop_for(settings, "nobody", 1.0)
    with pytest.raises(OperatorError, match="no supervised stack"):
        running_stack(settings.model_copy(update={"home": tmp_path / "elsewhere"}))
    with (
        suppress_restarts(settings.home, "early", 5.0),
        pytest.raises(Conflict, match="are suppressed already"),
    ):
        stop_for(settings, "early", 1.0)


def test_process_with_reused_pid_is_not_killed(tmp_path: Path) -> None:
    orphan, state = left_over(tmp_path)
    try:
        mistaken = replace(state, created=state.created - 3600)
        kill(mistaken)
        found = read_state(tmp_path)
        assert found is not None
        with pytest.raises(OperatorError, match="is not running"):
            find_process(replace(found, processes=(mistaken,)), "late")
        with pytest.raises(subprocess.TimeoutExpired):
            orphan.wait(1.0)
    finally:
        orphan.kill()
        orphan.wait(bound(10))


def injecting(settings: LocalStackSettings, call: str) -> subprocess.Popen[bytes]:
    """A process that injects, as a command would."""
    program = (
        "import sys; from pathlib import Path; from local_stack.settings import LocalStackSettings\n"
        "from local_stack.fault_injection.outages import stop_for\n"
        "settings = LocalStackSettings().model_copy(update={'home': Path(sys.argv[1])})\n" + call
    )
    return subprocess.Popen(
        [sys.executable, "-c", program, str(settings.home)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.DEVNULL,
    )
