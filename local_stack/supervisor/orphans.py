"""Processes that a killed supervisor left running (orphans): identifies and stops them. psutil is imported only when needed."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable

from shared.contracts.stack_state import ProcessState


def is_alive(process: ProcessState) -> bool:
    """Whether the recorded process still runs."""
    return _is_same(process.pid, process.created)


def stop_orphans(processes: Iterable[ProcessState], *, grace_s: float = 10.0) -> list[str]:
    """Stop the processes of an earlier supervisor, newest first. Returns their names."""
    stopped = []
    for process in reversed(list(processes)):
        if _group(process):
            stopped.append(process.name)
            _signal(process, signal.SIGTERM)
            if not _gone(process, grace_s):
                _signal(process, signal.SIGKILL)
                _gone(process, 5.0)
    return stopped


def _group(process: ProcessState) -> list[int]:
    """Running members of the recorded process group.

    The system does not reuse a group's number while the group has members. So its members are ours, unless its leader is
    another process: then the number was free in between.
    """
    import psutil

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
    import psutil

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
