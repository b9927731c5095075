"""The homes of the stacks that run on this machine, from the environment of their processes."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from local_stack.state import read_state
from local_stack.supervisor.lock import is_supervised
from local_stack.supervisor.orphans import is_alive

# The supervisor gives it to every process, as an absolute path: <home>/run/supervisor.json.
VARIABLE = "HOMEOSTAT_CONSOLE_STACK_STATE"


def running_homes() -> list[Path]:
    """Homes of the running stacks in alphabetical order. Only root sees the stacks of other users."""
    import psutil

    found: set[Path] = set()
    for process in psutil.process_iter():
        try:
            state = process.environ().get(VARIABLE, "")
        except (psutil.Error, OSError):
            continue
        if state:
            found.add(Path(state).parent.parent)
    return sorted(home for home in found if (home / "run").is_dir() and is_supervised(home))


def home_of(pid: int) -> Path | None:
    """Home of the stack whose supervisor started the process group of `pid`; None if none did, or if it cannot be read."""
    import psutil

    try:
        path = psutil.Process(pid).environ().get(VARIABLE, "")
        group = os.getpgid(pid)
    except (psutil.Error, OSError):
        return None
    home = Path(path).parent.parent
    state = read_state(home) if path else None
    return home if state is not None and group in {process.pid for process in state.processes} else None


def is_running(home: Path) -> bool:
    """Whether a supervisor runs on `home`, or processes that a killed one left."""
    if is_supervised(home):
        return True
    state = read_state(home)
    return state is not None and any(is_alive(process) for process in state.processes)


def other_stacks(home: Path) -> str:
    """A sentence that lists the stacks running on other homes; empty if there are none."""
    return listed(other for other in running_homes() if other != home.absolute())


def listed(homes: Iterable[Path]) -> str:
    """A sentence that lists the homes of running stacks; empty if there are none."""
    names = ", ".join(str(home) for home in homes)
    return f"name the home of a running stack with --home: {names}" if names else ""
