"""How much memory this machine, or the control group of this process, has left."""

from __future__ import annotations

from pathlib import Path

import psutil

_GROUPS = Path("/sys/fs/cgroup")


def available_bytes(groups: Path = _GROUPS) -> int:
    """Bytes that can be allocated without swapping and without exceeding the limit of the control group (version 2)."""
    free = int(psutil.virtual_memory().available)
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
