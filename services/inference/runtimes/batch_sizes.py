"""The sizes of batches on a device. Pure.

A device prepares itself for each shape that it sees: it chooses algorithms, and allocates memory. A batch is therefore filled up
to one of a few sizes, which are tried when the model is loaded.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence


def batch_sizes(largest: int) -> tuple[int, ...]:
    """Powers of two, the numbers between two of them, and `largest`: filled up, a batch grows by half at most.

    >>> batch_sizes(20)
    (1, 2, 3, 4, 6, 8, 12, 16, 20)
    """
    sizes = {largest}
    power = 1
    while power < largest:
        sizes |= {size for size in (power, power * 3 // 2) if size < largest}
        power *= 2
    return tuple(sorted(sizes))


def size_for(rows: int, sizes: Sequence[int]) -> int:
    """The smallest size that holds the rows; the largest one if none does.

    >>> size_for(5, (1, 2, 3, 4, 6, 8))
    6
    """
    return sizes[min(bisect_left(sizes, rows), len(sizes) - 1)]
