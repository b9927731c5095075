"""How much memory loading a model takes: the growth of the process's resident memory, measured around the load.

The size of the file says little: onnxruntime takes 1.1 times the file for dense layers, and 4.5 times for trees. Resident memory
says it only after the allocator has given free pages back (`malloc_trim`): without that a load seems to take up to three times as
much, and unloading frees nothing. At least the size of the file is counted: pages that were free before may have been used again.
Requests that are larger than those of the warm-up can take more later.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_STATM = Path("/proc/self/statm")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def resident_bytes() -> int:
    """Resident memory of this process."""
    return int(_STATM.read_text().split()[1]) * _PAGE_BYTES


def give_back_free_pages() -> None:
    """Let the allocator return free memory to the system. Only glibc has this; it takes 0.1 ms per freed MB at most."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


class MemoryMeter:
    """Measures loads, one at a time."""

    def __init__(
        self, read: Callable[[], int] = resident_bytes, settle: Callable[[], None] = give_back_free_pages
    ) -> None:
        """`read`: the memory in use, of the process or of its GPU. `settle` is called before each reading."""
        self._read = read
        self.settle = settle

    def measure(self, load: Callable[[], T]) -> tuple[T, int]:
        """What `load` returns, and the growth while it ran; 0 if memory became less."""
        self.settle()
        before = self._read()
        loaded = load()
        self.settle()
        return loaded, max(0, self._read() - before)
