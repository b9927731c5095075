"""The processes that may be killed: those in the state file of this home, identified by pid and creation time."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from local_stack.running_stacks import other_stacks
from local_stack.settings import LocalStackSettings
from local_stack.state import read_state
from local_stack.supervisor.lock import is_supervised
from local_stack.supervisor.orphans import is_alive
from local_stack.supervisor.readiness import is_ready
from shared.contracts.stack_state import ProcessState, StackState
from shared.errors import NotFound, OperatorError

PAUSE_S = 0.2


def running_stack(settings: LocalStackSettings) -> StackState:
    """The running stack of this home. Raises `OperatorError` if no supervisor runs, which would restart a killed process."""
    state = read_state(settings.home)
    if state is None or not is_supervised(settings.home):
        raise OperatorError(
            f"no supervised stack runs on {settings.home}",
            hint=other_stacks(settings.home)
            or "start one with `homeostat up --detach`, or give another --home",
        )
    return state


def find_process(state: StackState, name: str) -> ProcessState:
    """The running process `name`. Raises `NotFound` for an unknown name, `OperatorError` if it does not run."""
    found = {process.name: process for process in state.processes}
    if name not in found:
        raise NotFound(f"this stack has no process {name}", hint=f"use one of {', '.join(sorted(found))}")
    if not is_alive(found[name]):
        raise OperatorError(f"{name} is not running", hint="`homeostat status` shows its log file")
    return found[name]


def process_tree(process: ProcessState) -> list[psutil.Process]:
    """The process and all its children; empty if the pid belongs to another process now."""
    if not is_alive(process):
        return []
    try:
        leader = psutil.Process(process.pid)
        return [leader, *leader.children(recursive=True)]
    except psutil.Error:
        return []


def send_signal(processes: list[psutil.Process], number: signal.Signals) -> None:
    """Send a signal. psutil compares the creation time first, so a process with a reused pid gets none."""
    for process in processes:
        try:
            process.send_signal(number)
        except psutil.Error:
            continue


def kill(process: ProcessState) -> None:
    """Kill a process and its children (SIGKILL)."""
    send_signal(process_tree(process), signal.SIGKILL)


def wait_until_restarted(
    home: Path, before: ProcessState, *, within_s: float, on_progress: Callable[[str], None] = lambda _: None
) -> float:
    """Wait until the supervisor has restarted the process and it is ready; the seconds it took. Raises `OperatorError`."""
    began = time.monotonic()
    on_progress(f"waiting for {before.name} to restart")
    while time.monotonic() - began < within_s:
        state = read_state(home)
        restarted = next((one for one in state.processes if one.name == before.name), None) if state else None
        if (
            state is not None
            and restarted is not None
            and restarted.pid != before.pid
            and is_ready(restarted, state)
        ):
            return time.monotonic() - began
        time.sleep(PAUSE_S)
    raise OperatorError(
        f"{before.name} is not ready again after {within_s:.0f} s",
        hint=f"homeostat status; read {before.log}",
    )
