"""`homeostat down`: stop the stack."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from cli.command_settings import client_settings
from cli.options import Home, Json
from cli.output import command_output
from local_stack.running_stacks import other_stacks
from local_stack.state import read_state, remove_state
from local_stack.supervisor.lock import is_supervised, supervisor_pid
from local_stack.supervisor.orphans import stop_orphans
from shared.errors import OperatorError

STOP_TIMEOUT_S = 150.0


def down(home: Home = None, as_json: Json = False) -> None:
    """Stop the stack: the supervisor with its processes, and processes left by an earlier supervisor."""
    with command_output(as_json) as output:
        settings = client_settings(home)
        found = read_state(settings.home)
        running = supervisor_pid(settings.home)
        if found is None and running is None:
            output.result({"ended": []}, f"no stack runs on {settings.home.absolute()}")
            if others := other_stacks(settings.home):
                output.note(others)
            return
        names = [process.name for process in found.processes] if found is not None else []
        if running is not None:
            output.note(f"stopping {', '.join(reversed(names)) or 'the starting stack'}")
            _end_supervisor(settings.home, running)
        left = read_state(settings.home) or found
        if left is not None:
            stop_orphans(left.processes)
        remove_state(settings.home)
        output.result({"ended": names}, "stopped: " + (", ".join(names) or "the supervisor"))


def _end_supervisor(home: Path, pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while is_supervised(home):
        if time.monotonic() > deadline:
            raise OperatorError(
                f"the supervisor of {home} (pid {pid}) did not stop within {STOP_TIMEOUT_S:.0f} s",
                hint=f"kill -9 {pid}, then run `homeostat down` again: it stops the remaining processes",
            )
        time.sleep(0.1)
