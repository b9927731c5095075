"""Holds: while one is in force, the supervisor leaves a part that died as it is. For rehearsing outages.

A hold is a file `run/holds/<part>.json` that names its holder, a living process, and its end. It is void when its time is over or
its holder is gone, so nothing stays down because a command was killed.
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

LONGEST_S = 600.0


@dataclass(frozen=True)
class Hold:
    """Who holds a part, by `pid` and `created` (seconds since 1970), and `until` when (the same)."""

    pid: int
    created: float
    until: float


@contextmanager
def hold(home: Path, part: str, seconds: float) -> Iterator[None]:
    """Hold `part` down inside the block, for `seconds` at most. Raises `Conflict` where somebody else does."""
    path = _path(home, part)
    if is_held(home, part):
        raise Conflict(f"{part} is held down already", hint="wait until the other rehearsal is over")
    path.parent.mkdir(parents=True, exist_ok=True)
    until = time.time() + min(seconds, LONGEST_S)
    ours = Hold(pid=os.getpid(), created=psutil.Process().create_time(), until=until)
    write_atomic(path, orjson.dumps(asdict(ours)))
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def is_held(home: Path, part: str) -> bool:
    """Whether a living holder holds `part` now."""
    try:
        found = Hold(**orjson.loads(_path(home, part).read_bytes()))
    except (OSError, TypeError, ValueError):
        return False
    # A clock that stepped back must not hold anything for longer than a hold may last.
    if not 0 < found.until - time.time() <= LONGEST_S:
        return False
    try:
        return abs(psutil.Process(found.pid).create_time() - found.created) < 1.0
    except psutil.Error:
        return False


def _path(home: Path, part: str) -> Path:
    return run_folder(home) / "holds" / f"{part}.json"
