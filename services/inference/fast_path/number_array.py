"""The numbers of a JSON array as float32, where that is certain to be what the ordinary path reads. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import simdjson

# The sum of squares below this: every number is finite, and no integer among them is rounded on its way over float64.
_SAFE_SQUARES = 1e30
MARK = b",1e16,"  # its square is above the limit
_FLOAT32 = np.dtype("<f4")
# Of texts that are put together to be read as one; of longer ones, copies cost more than calls.
MAX_BYTES_AT_ONCE = 16 << 10

Floats = npt.NDArray[np.float32]


class NumberArrays:
    """Reads arrays of numbers; keeps one parser, so it is for one thread."""

    def __init__(self) -> None:
        self._parser = simdjson.Parser()

    def read(self, text: bytes | memoryview, count: int) -> Floats | None:
        """The `count` numbers of the array `text`, which ends with its first `]`; None if it is something else than numbers, or
        holds very large ones.
        """
        numbers = self._parse(text)
        if numbers is None or numbers.size != count:
            return None
        return _checked(numbers.astype(np.float32))

    def read_rows(self, rows: Sequence[bytes], size: int) -> Floats | None:
        """The numbers of `rows`, each of `size` between commas; None as above, or if a row has another size."""
        return self._read_marked(b"[%b]" % MARK.join(rows), len(rows), size)

    def read_separated(self, text: bytes | bytearray, separator: bytes, size: int) -> Floats | None:
        """The numbers of the rows in the array `text`, each of `size`, with `separator` between two of them; None as above."""
        rows = text.split(separator)  # with `join` a third quicker than `replace`
        return self._read_marked(MARK.join(rows), len(rows), size)

    def _read_marked(self, text: bytes | bytearray, rows: int, size: int) -> Floats | None:
        """The numbers of an array of rows with a mark between two of them.

        The sum of squares allows no mark among the numbers of a row: as there are as many marks as places for them, each is in
        its place.
        """
        if text.find(b"]") != len(text) - 1:  # nested arrays would be read as one
            return None
        numbers = self._parse(text)
        if numbers is None or numbers.size != rows * (size + 1) - 1:
            return None
        strides = (numbers.itemsize * (size + 1), numbers.itemsize)
        return _checked(np.ndarray((rows, size), numbers.dtype, numbers, strides=strides).astype(np.float32))

    def _parse(self, text: bytes | bytearray | memoryview) -> npt.NDArray[Any] | None:
        try:
            array = self._parser.parse(text)
            if not isinstance(array, simdjson.Array):
                return None
            return np.frombuffer(array.as_buffer(of_type="d"), np.float64)
        except (ValueError, TypeError, RuntimeError):
            return None


def read_binary(raw: bytes, start: int, count: int) -> Floats | None:
    """`count` little-endian float32 from `start` on, a view where they are aligned; None if one of them may not be finite."""
    floats = np.frombuffer(raw, _FLOAT32, count, start)
    if not floats.flags.aligned:
        floats = floats.copy()
    return floats if sum_of_squares(floats) < math.inf else None


def sum_of_squares(floats: Floats) -> float:
    """The sum of the squares; NaN or infinite if a number is."""
    return float(floats.dot(floats))


def _checked(floats: Floats) -> Floats | None:
    return floats if sum_of_squares(floats.reshape(-1)) < _SAFE_SQUARES else None
