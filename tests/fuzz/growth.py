"""What a service holds: resident memory and open files, of its process and all that it has started."""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import psutil

MIB = 1 << 20


@dataclass(frozen=True)
class Held:
    """Resident memory in bytes, and the number of open file descriptors."""

    memory: int
    files: int
    kinds: Counter[str] = field(default_factory=Counter)

    def grown_since(self, before: Held) -> Held:
        """What it holds more than before; `kinds` names the files that are there more often."""
        kinds = self.kinds - before.kinds
        return Held(self.memory - before.memory, self.files - before.files, kinds)


def held_by(pid: int) -> Held | None:
    """What a process and its children hold; None if the process has ended."""
    try:
        parent = psutil.Process(pid)
        if parent.status() == psutil.STATUS_ZOMBIE:
            return None
        processes = [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return None
    memory, kinds = 0, Counter[str]()
    for process in processes:
        try:
            memory += process.memory_info().rss
            kinds += _open_files(process.pid)
        except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
            continue
    return Held(memory, kinds.total(), kinds)


def _open_files(pid: int) -> Counter[str]:
    """How many descriptors are open on which file; numbers in names are left out."""
    found = Counter[str]()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found[re.sub(r"\d+", "…", os.readlink(link))] += 1
        except OSError:  # closed meanwhile
            continue
    return found
