"""A tile: how many rows of a short time fall into each cell of each column. Tiles add up: any window is a sum of tiles.

Every column has the same 70 cells, so a tile is one array. Cells 0 to 63 are values: quantile bins of a number, or categories,
of which the rarer share cells. The last six cells are special.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from operator import add

import numpy as np
import numpy.typing as npt

from shared.contracts.event_time import from_micros

Counts = npt.NDArray[np.int32]

VALUE_CELLS = 64
BELOW, ABOVE, MISSING, INFINITE, NEW, INVALID = range(64, 70)
CELLS = 70
# Cells of present values that the reference could hold: drift is measured on these.
MEASURED_CELLS = 66


@dataclass(frozen=True, eq=False)
class Tile:
    """Counts of shape (columns, 70) of the rows with `start` <= event time < `end` (µs since 1970)."""

    start: int
    end: int
    rows: int
    counts: Counts

    @property
    def start_time(self) -> datetime:
        """`start` as a datetime."""
        return from_micros(self.start)

    @property
    def end_time(self) -> datetime:
        """`end` as a datetime."""
        return from_micros(self.end)

    def __add__(self, other: Tile) -> Tile:
        return Tile(
            min(self.start, other.start),
            max(self.end, other.end),
            self.rows + other.rows,
            self.counts + other.counts,
        )


def add_tiles(tiles: Iterable[Tile]) -> Tile:
    """The tile of a window: the sum of its tiles, of which there is at least one."""
    return reduce(add, tiles)


def empty_tile(start: int, end: int, columns: int) -> Tile:
    """A tile without rows."""
    return Tile(start, end, 0, np.zeros((columns, CELLS), np.int32))
