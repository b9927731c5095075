"""How much memory this machine, or the control group of this process, has left."""

from __future__ import annotations

import os
from pathlib import Path

_GROUPS = Path("/sys/fs/cgroup")
_MEMORY = Path("/proc/meminfo")


def available_bytes(groups: Path = _GROUPS, memory: Path = _MEMORY) -> int:
    """Bytes that can be allocated without swapping and without exceeding the limit of the control group (version 2)."""
    free = _free_bytes(memory)
    try:
        limit = int((groups / "memory.max").read_text())
        used = int((groups / "memory.current").read_text())
        # Pages of files are dropped when memory is short.
        files = next(
            int(line.split()[1])
            for line in (groups / "memory.stat").read_text().splitlines()
            if line.startswith("inactive_file ")
        )
    except (OSError, ValueError, StopIteration):  # no such group, or "max"
        return free
    return min(free, max(0, limit - used + files))


def _free_bytes(memory: Path) -> int:
    """Of this machine; half of what it has where the kernel does not say (no Linux)."""
    try:
        lines = memory.read_text().splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
