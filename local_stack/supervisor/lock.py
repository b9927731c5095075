"""`run/supervisor.lock`: at most one supervisor per home, and its pid."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from local_stack.state import run_folder
from shared.errors import Conflict, OperatorError

LOCK = "supervisor.lock"
WRITING_S = 2.0


@contextmanager
def only_one(home: Path) -> Iterator[None]:
    """Hold the lock of `home` inside the block, with this process's pid in the lock file.

    Raises `Conflict` if another supervisor runs.
    """
    folder = run_folder(home)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("a") as handle:
        _lock(handle, home)
        handle.truncate(0)
        handle.write(str(os.getpid()))
        handle.flush()
        yield


def _lock(handle: IO[str], home: Path) -> None:
    """Lock `handle`, after probes by other commands, which take milliseconds. Raises `Conflict` if another supervisor runs."""
    ends = time.monotonic() + WRITING_S
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            pid = supervisor_pid(home)
            if pid is not None:
                raise Conflict(
                    f"a supervisor (pid {pid}) already runs on {home}",
                    hint="check it with `homeostat status`, stop it with `homeostat down`, or use another --home",
                ) from error
            if time.monotonic() > ends:
                raise _locked_by_a_stranger(run_folder(home) / LOCK) from error
            time.sleep(0.01)
        else:
            return


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
        with (run_folder(home) / LOCK).open() as handle:
            # Shared, so that two probes at the same time do not take each other for a supervisor.
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _locked_by_a_stranger(path: Path) -> OperatorError:
    return OperatorError(
        f"{path} is locked by a process that is not a supervisor", hint=f"find it with `fuser {path}`"
    )
