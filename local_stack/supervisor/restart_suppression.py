"""Suppression of restarts: while it is in force, the supervisor does not restart a process that has ended. For outages.

It is a file `run/suppressed/<process>.json` with the process that owns it and its end. It is void after its end, or once its
owner has ended, so nothing stays down because a command was killed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson
import psutil

from local_stack.state import run_folder
from shared.errors import Conflict
from shared.files import write_atomic

MAX_DURATION_S = 600.0


@dataclass(frozen=True)
class Suppression:
    """Its owner, by `pid` and `created` (seconds since 1970), and its end `until` (the same)."""

    pid: int
    created: float
    until: float


@contextmanager
def suppress_restarts(home: Path, name: str, seconds: float) -> Iterator[None]:
    """Suppress restarts of process `name` inside the block, for at most `seconds`. Raises `Conflict` if another command does."""
    path = _path(home, name)
    if is_suppressed(home, name):
        raise Conflict(
            f"restarts of {name} are suppressed already", hint="wait until the other command has ended"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    until = time.time() + min(seconds, MAX_DURATION_S)
    ours = Suppression(pid=os.getpid(), created=psutil.Process().create_time(), until=until)
    write_atomic(path, orjson.dumps(asdict(ours)))
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def is_suppressed(home: Path, name: str) -> bool:
    """Whether restarts of process `name` are suppressed now, by a process that still runs."""
    try:
        found = Suppression(**orjson.loads(_path(home, name).read_bytes()))
    except (OSError, TypeError, ValueError):
        return False
    # A clock that was set back must not lengthen the suppression.
    if not 0 < found.until - time.time() <= MAX_DURATION_S:
        return False
    try:
        return abs(psutil.Process(found.pid).create_time() - found.created) < 1.0
    except psutil.Error:
        return False


def _path(home: Path, name: str) -> Path:
    return run_folder(home) / "suppressed" / f"{name}.json"
