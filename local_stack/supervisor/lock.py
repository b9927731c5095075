"""`run/supervisor.lock`: at most one supervisor per home, and its pid."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local_stack.state import run_folder
from shared.errors import Conflict, OperatorError
from shared.file_lock import is_locked, try_lock

LOCK = "supervisor.lock"
WRITING_S = 2.0


@contextmanager
def only_one(home: Path) -> Iterator[None]:
    """Hold the lock of `home` inside the block, with this process's pid in the lock file.

    Raises `Conflict` if another supervisor runs.
    """
    folder = run_folder(home)
    folder.mkdir(parents=True, exist_ok=True)
    lock = _lock(folder / LOCK, home)
    try:
        (folder / LOCK).write_text(str(os.getpid()))
        yield
    finally:
        os.close(lock)


def _lock(path: Path, home: Path) -> int:
    """Lock the file, after probes by other commands, which take milliseconds. Raises `Conflict` if another supervisor runs."""
    ends = time.monotonic() + WRITING_S
    while (lock := try_lock(path, mode=0o644)) is None:
        pid = supervisor_pid(home)
        if pid is not None:
            raise Conflict(
                f"a supervisor (pid {pid}) already runs on {home}",
                hint="check it with `homeostat status`, stop it with `homeostat down`, or use another --home",
            )
        if time.monotonic() > ends:
            raise _locked_by_a_stranger(path)
        time.sleep(0.01)
    return lock


def supervisor_pid(home: Path) -> int | None:
    """Pid of the running supervisor of `home`; None if there is none.

    The state file cannot be used: until a new supervisor has stopped the orphans of an older one, it describes the older one.
    """
    path = run_folder(home) / LOCK
    ends = time.monotonic() + WRITING_S
    while is_supervised(home):
        written = path.read_text()
        # Empty between locking and writing. Signalling pid 0 would stop the process group of the caller.
        if written.isdigit() and int(written) > 1:
            return int(written)
        if time.monotonic() > ends:
            raise _locked_by_a_stranger(path)
        time.sleep(0.01)
    return None


def is_supervised(home: Path) -> bool:
    """Whether a supervisor runs on `home`."""
    try:
        return is_locked(run_folder(home) / LOCK)
    except OSError:
        return False


def _locked_by_a_stranger(path: Path) -> OperatorError:
    return OperatorError(
        f"{path} is locked by a process that is not a supervisor", hint=f"find it with `fuser {path}`"
    )
