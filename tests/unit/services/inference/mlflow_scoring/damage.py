"""Requests with a few random bytes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from shared.errors import InvalidRequest

ATTEMPTS = 3000


def refused_of_damaged(valid: bytes, read: Callable[[bytes], object]) -> int:
    """How many of 3000 damaged bodies are refused; any other exception is raised."""
    random = np.random.default_rng(5)
    refused = 0
    for _ in range(ATTEMPTS):
        changed = np.frombuffer(valid, np.uint8).copy()
        positions = random.integers(0, len(changed), random.integers(1, 4))
        changed[positions] = random.integers(0, 256, len(positions))
        try:
            read(changed.tobytes())
        except InvalidRequest:
            refused += 1
    return refused
