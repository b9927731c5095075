"""Whether the kernel of this machine can hide files from a process."""

from __future__ import annotations

import ctypes


def has_landlock() -> bool:
    """The version of its interface is positive; see landlock_create_ruleset(2)."""
    return int(ctypes.CDLL(None).syscall(444, None, ctypes.c_size_t(0), 1)) > 0
