"""The homes of the stacks that this user runs on this machine, from the environment of their processes."""

from __future__ import annotations

from pathlib import Path

from local_stack.supervisor.lock import is_supervised

# The supervisor gives it to every process, as an absolute path: <home>/run/supervisor.json.
VARIABLE = "HOMEOSTAT_CONSOLE_STACK_STATE"


def running_homes() -> list[Path]:
    """Homes of the running stacks in alphabetical order. Processes of other users are not visible."""
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


def other_stacks(home: Path) -> str:
    """A sentence that lists the stacks running on other homes; empty if there are none."""
    others = [str(other) for other in running_homes() if other != home.absolute()]
    if not others:
        return ""
    return f"name the home of a running stack with --home: {', '.join(others)}"
