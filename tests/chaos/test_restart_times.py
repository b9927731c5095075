"""Each part of a running stack is killed once: how long until it is ready again, and how much CPU time its start takes.

Before that, every listener of the stack is asked without credentials.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from local_stack.state import read_state
from local_stack.supervisor.readiness import is_ready
from shared.contracts.stack_state import ProcessState, StackState
from tests import local_http
from tests.observability import program
from tests.waiting import bound, eventually

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(1800)]

ROOT = Path(__file__).parents[2]
PARTS = (
    *("kafka", "console", "retraining", "drift", "sink", "shipper", "inference"),
    *("alertmanager", "prometheus"),
)
# On a quiet machine; `bound` allows for the load of a busy one.
READY_SECONDS = 20.0
# The wall clock of a busy machine says little: the CPU time says what a start needs of a quiet one.
CPU_SECONDS = 8.0


@dataclass(frozen=True)
class Restart:
    """What was measured of one part: seconds from the kill until ready, CPU seconds of its processes, and the load."""

    part: str
    seconds: float
    cpu_seconds: float
    load: float


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    for name in ("prometheus", "alertmanager"):
        program(name)
    home = tmp_path_factory.mktemp("home")
    command = [sys.executable, "-m", "cli"]
    up = ["up", "--detach", "--free-ports", "--observability", f"--home={home}", f"--wait={bound(180):.0f}"]
    try:
        # As a machine with several users should have it.
        keyed = {**os.environ, "HOMEOSTAT_ANONYMOUS_ACCESS": "false"}
        subprocess.run([*command, *up], cwd=ROOT, check=True, timeout=bound(240), env=keyed)
        eventually(lambda: all(is_up(home, part) for part in PARTS), "every part is ready", within_s=60)
        yield home
    finally:
        subprocess.run([*command, "down", f"--home={home}"], cwd=ROOT, check=False, timeout=bound(240))


def test_every_listener_refuses_an_anonymous_request(home: Path) -> None:
    """The broker apart, whose records are authenticated one by one."""
    asked = ("/status", "/metrics", "/docs.json", "/api/v1/query?query=up", "/api/v2/status", "/nothing")
    served = [process for process in stack(home).processes if process.ready_url]
    assert {process.name for process in served} == {*PARTS} - {"kafka"}
    answered = {
        (process.name, path): local_http.get(f"http://127.0.0.1:{process.port}{path}").status_code
        for process in served
        for path in asked
    }
    assert {one: status for one, status in answered.items() if status != 401} == {}


def test_part_that_is_killed_is_ready_again(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = [restart(home, part) for part in PARTS]
    with capsys.disabled():
        print(f"\n{'part':<14}{'ready after':>12}{'CPU':>9}{'load':>7}   ({os.cpu_count()} cores)")
        for one in found:
            print(f"{one.part:<14}{one.seconds:>10.1f} s{one.cpu_seconds:>7.1f} s{one.load:>7.1f}")
    slow = [one for one in found if one.seconds > bound(READY_SECONDS) or one.cpu_seconds > CPU_SECONDS]
    assert slow == []


def restart(home: Path, part: str) -> Restart:
    before = process_of(home, part)
    os.kill(before.pid, signal.SIGKILL)
    start = time.monotonic()
    eventually(lambda: is_up(home, part, since=before), f"{part} is ready again", within_s=120)
    seconds = time.monotonic() - start
    return Restart(part, seconds, cpu_seconds(process_of(home, part).pid), os.getloadavg()[0])


def is_up(home: Path, part: str, since: ProcessState | None = None) -> bool:
    """Whether a part is ready, and another process than `since`."""
    state = read_state(home)
    found = [one for one in state.processes if one.name == part] if state is not None else []
    return bool(found and (since is None or found[0].pid != since.pid) and is_ready(found[0], stack(home)))


def stack(home: Path) -> StackState:
    state = read_state(home)
    assert state is not None
    return state


def process_of(home: Path, part: str) -> ProcessState:
    return next(one for one in stack(home).processes if one.name == part)


def cpu_seconds(pid: int) -> float:
    """Of a process and what it has started, also of what has ended since."""
    leader = psutil.Process(pid)
    total = 0.0
    for process in (leader, *leader.children(recursive=True)):
        try:
            total += sum(process.cpu_times()[:4])
        except psutil.NoSuchProcess:
            continue
    return total
