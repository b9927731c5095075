"""Waits for the exit of child processes without asking for it many times a second."""

from __future__ import annotations

import os
import select
from collections.abc import Iterable
from contextlib import suppress

# Where the kernel has no descriptors of processes (Linux before 5.3, other systems).
_POLL_SECONDS = 0.1


class ExitWatch:
    """Ends its wait when one of the processes exits, or when `wake` is called. One thread waits; any may wake it."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        for descriptor in (self._read, self._write):
            os.set_blocking(descriptor, False)

    def wake(self) -> None:
        """End the wait, or the next one; safe in a signal handler."""
        with suppress(OSError):  # full: the wait ends in any case
            os.write(self._write, b"w")

    def wait(self, pids: Iterable[int], seconds: float) -> None:
        """Wait until a process of `pids` has exited, `wake` was called, or `seconds` are over."""
        waiter = select.poll()
        waiter.register(self._read, select.POLLIN)
        opened = []
        try:
            for pid in pids:
                try:
                    opened.append(os.pidfd_open(pid))
                except ProcessLookupError:
                    return  # it has exited, and something else has read its status
                except (AttributeError, OSError):
                    seconds = min(seconds, _POLL_SECONDS)
                    continue
                waiter.register(opened[-1], select.POLLIN)
            waiter.poll(max(0.0, seconds) * 1000)
        finally:
            for descriptor in opened:
                os.close(descriptor)
        with suppress(BlockingIOError):
            os.read(self._read, 4096)
