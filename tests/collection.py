"""Collection: one worker compiles what all import, and garbage collection stands still; later it runs less often.

A worker imports all libraries. In a new environment none of them is compiled, and workers that collect side by side would each
compile all of them: the first one collects alone. Later, and after it, they collect side by side.
Without a garbage collection that stands still, each full one looks at millions of objects that stay until the end. Those that
tests make later with an application, of which most stay for a while, took a tenth of the time of some folders.
"""

from __future__ import annotations

import fcntl
import gc
import sys
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path
from typing import IO

import pytest

# A run of less does not compile what a run of all tests imports.
MANY_TESTS = 2000
# Objects made until the youngest are looked at (700 by default), and how often until the older ones are.
THRESHOLDS = (10_000, 10, 10)


def collected_before(environment: Path) -> Path:
    """The file that says that a worker has collected many tests in this virtual environment."""
    return environment / ".collected"


def wait_for_turn(environment: Path) -> IO[str] | None:
    """Wait until no other worker is the first to collect; returns the lock if this one is."""
    if collected_before(environment).exists():
        return None
    try:
        lock = (environment / ".collecting").open("w")
    except OSError:  # whoever installed the environment keeps it for themselves
        return None
    fcntl.flock(lock, fcntl.LOCK_EX)
    if collected_before(environment).exists():
        lock.close()
        return None
    return lock


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Switch the collector off, and keep from it what is there at the end."""
    environment = Path(sys.prefix)
    lock = wait_for_turn(environment) if hasattr(session.config, "workerinput") else None
    gc.disable()
    try:
        result = yield
        if lock is not None and session.testscollected >= MANY_TESTS:
            with suppress(OSError):
                collected_before(environment).touch()
        return result
    finally:
        if lock is not None:
            lock.close()
        gc.freeze()
        gc.set_threshold(*THRESHOLDS)
        gc.enable()
