"""Processes a killed supervisor left running: recognised without mistake, and ended."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable

import psutil

from shared.contracts.stack_state import ProcessState


def is_alive(process: ProcessState) -> bool:
    """Whether the recorded process itself still runs."""
    return _is_same(process.pid, process.created)


def end_left_over(processes: Iterable[ProcessState], *, grace_s: float = 10.0) -> list[str]:
    """End what an earlier supervisor left running, newest first; the names of what was ended."""
    ended = []
    for process in reversed(list(processes)):
        if _group(process):
            ended.append(process.name)
            _signal(process, signal.SIGTERM)
            if not _gone(process, grace_s):
                _signal(process, signal.SIGKILL)
                _gone(process, 5.0)
    return ended


def _group(process: ProcessState) -> list[int]:
    """Living members of the recorded process group.

    While a group has members the system gives its number to no new process, so members of the group are ours unless its leader
    is somebody else: then the number was free in between.
    """
    if psutil.pid_exists(process.pid) and not _is_same(process.pid, process.created):
        return []
    members = []
    for candidate in psutil.process_iter(["pid", "status", "create_time"]):
        try:
            ours = os.getpgid(candidate.pid) == process.pid
        except OSError:
            continue
        # 1 s: both times are read from the same clock, but rounded to the system's ticks.
        recent = (
            candidate.info["create_time"] is not None
            and candidate.info["create_time"] >= process.created - 1.0
        )
        if ours and recent and candidate.info["status"] != psutil.STATUS_ZOMBIE:
            members.append(candidate.pid)
    return members


def _is_same(pid: int, created: float) -> bool:
    try:
        found = psutil.Process(pid)
        return abs(found.create_time() - created) < 1.0 and found.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _signal(process: ProcessState, number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return


def _gone(process: ProcessState, within_s: float) -> bool:
    ends = time.monotonic() + within_s
    while _group(process):
        if time.monotonic() >= ends:
            return False
        time.sleep(0.05)
    return True
