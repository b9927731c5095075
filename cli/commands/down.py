"""`homeostat down`: end what `homeostat up` started."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from cli.command_settings import settings_with
from cli.options import Home, Json
from cli.output import telling
from local_stack.state import read_state, remove_state
from local_stack.supervisor.lock import is_supervised, supervisor_pid
from local_stack.supervisor.orphans import end_left_over
from shared.errors import OperatorError

PATIENCE_S = 150.0


def down(home: Home = None, as_json: Json = False) -> None:
    """End the stack: the supervisor first, then whatever an earlier one left behind."""
    with telling(as_json) as teller:
        settings = settings_with(home)
        found = read_state(settings.home)
        running = supervisor_pid(settings.home)
        if found is None and running is None:
            teller.result({"ended": []}, f"nothing runs on {settings.home}")
            return
        names = [process.name for process in found.processes] if found is not None else []
        if running is not None:
            teller.note(f"ending {', '.join(reversed(names)) or 'what is starting'}")
            _end_supervisor(settings.home, running)
        left = read_state(settings.home) or found
        if left is not None:
            end_left_over(left.processes)
        remove_state(settings.home)
        teller.result({"ended": names}, "ended: " + (", ".join(names) or "the supervisor"))


def _end_supervisor(home: Path, pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + PATIENCE_S
    while is_supervised(home):
        if time.monotonic() > deadline:
            raise OperatorError(
                f"the supervisor of {home} (pid {pid}) did not end within {PATIENCE_S:.0f} s",
                hint=f"kill -9 {pid}, then run `homeostat down` again: it ends what is left",
            )
        time.sleep(0.1)
