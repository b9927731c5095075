"""What ends the wait for the exit of a process."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from threading import Timer

import pytest

from local_stack.supervisor.exit_watch import ExitWatch
from tests.waiting import bound


def waited(watch: ExitWatch, pids: list[int], seconds: float) -> float:
    begun = time.monotonic()
    watch.wait(pids, seconds)
    return time.monotonic() - begun


def test_exit_of_a_process_ends_the_wait() -> None:
    with subprocess.Popen([sys.executable, "-S", "-c", "pass"]) as process:
        assert waited(ExitWatch(), [os.getpid(), process.pid], bound(60)) < bound(30)
        assert process.wait(bound(5)) == 0


def test_wake_ends_the_wait_of_now_or_the_next_one() -> None:
    watch = ExitWatch()
    watch.wake()
    assert waited(watch, [os.getpid()], bound(60)) < bound(30)
    timer = Timer(0.05, watch.wake)
    timer.start()
    assert waited(watch, [os.getpid()], bound(60)) < bound(30)
    timer.join()
    assert waited(watch, [os.getpid()], 0.05) >= 0.05


def test_without_descriptors_of_processes_waits_are_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "pidfd_open", raising=False)
    assert waited(ExitWatch(), [os.getpid()], bound(60)) < bound(30)
