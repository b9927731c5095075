"""Row numbers already seen: the shipper sends a record again when its acknowledgement was lost. Pure.

Rows of a writer and epoch have ascending numbers: the highest one that was counted shows which rows are repeats, as in the sink.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

# Streams of (model, writer, epoch) that are remembered; those that were silent longest are forgotten.
KEPT = 4096

Stream = tuple[str, str, int]


class RowNumbers:
    """The highest row number of each stream, at most `kept` streams."""

    def __init__(self, known: Mapping[Stream, int] | None = None, kept: int = KEPT) -> None:
        self._highest: dict[Stream, int] = dict(known or {})
        self._kept = kept

    def first_new(self, stream: Stream, numbers: np.ndarray[Any, np.dtype[np.int64]]) -> int:
        """The place of the first row that was not seen before; rows from there on count as seen. `numbers` ascend.

        >>> seen = RowNumbers()
        >>> seen.first_new(("m", "w", 1), np.array([0, 1, 2]))
        0
        >>> seen.first_new(("m", "w", 1), np.array([1, 2, 3]))  # two of three repeated
        2
        """
        highest = self._highest.pop(stream, -1)
        self._highest[stream] = max(highest, int(numbers[-1]))
        while len(self._highest) > self._kept:
            del self._highest[next(iter(self._highest))]
        return int(np.searchsorted(numbers, highest, side="right"))

    def as_mapping(self) -> dict[Stream, int]:
        """For a snapshot: the streams, those that were silent longest first."""
        return dict(self._highest)

    def add(self, known: Mapping[Stream, int]) -> None:
        """Streams of a snapshot, as those that were silent longest."""
        self._highest = {**known, **self._highest}

    def forget(self, unwanted: Callable[[str], bool]) -> None:
        """Forget the streams of these models."""
        self._highest = {
            stream: number for stream, number in self._highest.items() if not unwanted(stream[0])
        }
