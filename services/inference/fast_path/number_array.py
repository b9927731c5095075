"""The numbers of a JSON array as float32, where that is certain to be what the ordinary path reads. Pure."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import simdjson

# The sum of squares below this: every number is finite, and no integer among them is rounded on its way over float64.
_SAFE_SQUARES = 1e30
_ONE_THREAD = 8192  # above it, OpenBLAS may share the work with other threads
_FLOAT32 = np.dtype("<f4")

Floats = npt.NDArray[np.float32]


class NumberArrays:
    """Reads arrays of numbers; keeps one parser, so it is for one thread."""

    def __init__(self) -> None:
        self._parser = simdjson.Parser()

    def read(self, text: bytes, count: int) -> Floats | None:
        """The `count` numbers of the array `text`, which ends with its first `]`; None if it is something else than numbers, or
        holds very large ones.
        """
        try:
            array = self._parser.parse(text)
            if not isinstance(array, simdjson.Array):
                return None
            numbers: npt.NDArray[Any] = np.frombuffer(array.as_buffer(of_type="d"), np.float64)
        except (ValueError, TypeError, RuntimeError):
            return None
        if numbers.size != count:
            return None
        floats = numbers.astype(np.float32)
        return floats if _squares(floats) < _SAFE_SQUARES else None


def read_binary(raw: bytes, start: int, count: int) -> Floats | None:
    """`count` little-endian float32 from `start` on, copied; None if they may hold one that is not finite."""
    floats = np.frombuffer(raw, _FLOAT32, count, start).astype(np.float32)
    return floats if _squares(floats) < math.inf else None


def _squares(floats: Floats) -> float:
    """The sum of the squares; NaN or infinite if a number is."""
    if len(floats) <= _ONE_THREAD:
        return float(floats.dot(floats))
    parts = [floats[start : start + _ONE_THREAD] for start in range(0, len(floats), _ONE_THREAD)]
    return float(sum(part.dot(part) for part in parts))
