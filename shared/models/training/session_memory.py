"""The memory of all processes of a session, as Linux shows it in /proc."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")
_PROCESSES = Path("/proc")


def session_memory_bytes(session: int, above: int, processes: Path = _PROCESSES) -> int:
    """What the processes of a session use together; 0 where the system does not show it.

    Pages that several of them share count once. That costs milliseconds for large processes, so it is computed only if the sum
    that counts them each time is larger than `above`.
    """
    found = list(_of_session(session, processes))
    resident = sum(_resident_bytes(process) for process in found)
    return resident if resident <= above else sum(_shared_out_bytes(process) for process in found)


def _of_session(session: int, processes: Path) -> Iterator[Path]:
    for process in processes.glob("[0-9]*"):
        with suppress(OSError, IndexError, ValueError):
            # After the name, which may contain anything, in parentheses: state, parent, group, session.
            fields = (process / "stat").read_text(errors="replace").rpartition(")")[2].split()
            if int(fields[3]) == session:
                yield process


def _resident_bytes(process: Path) -> int:
    with suppress(OSError, IndexError, ValueError):
        return int((process / "statm").read_text().split()[1]) * _PAGE
    return 0


def _shared_out_bytes(process: Path) -> int:
    """Its proportional set size; what is resident if that cannot be read."""
    with suppress(OSError, IndexError, ValueError):
        for line in (process / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) << 10
    return _resident_bytes(process)
