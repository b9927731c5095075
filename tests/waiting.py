"""How long a test may wait: a bounded poll whose bound grows with the load of the machine."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
# Waits on a busy machine take longer, but never for ever.
MAX_FACTOR = 6.0


def time_factor() -> float:
    """The factor by which every bound grows: `HOMEOSTAT_TEST_PATIENCE`, or the load per core, between 1 and 6."""
    configured = os.environ.get("HOMEOSTAT_TEST_PATIENCE")
    if configured:
        return max(1.0, float(configured))
    return min(MAX_FACTOR, max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1)))


def bound(seconds: float) -> float:
    """The bound of a time that a test measures, for this machine's load."""
    return seconds * time_factor()


def eventually(read: Callable[[], T], what: str, *, within_s: float = 30.0, every_s: float = 0.05) -> T:
    """Call `read` until it returns something true, and return that; fail with `what` after `within_s` times the time_factor."""
    bound_s = within_s * time_factor()
    deadline = time.monotonic() + bound_s
    while True:
        found = read()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {bound_s:.0f} s, last {found!r}")
        time.sleep(every_s)
