"""Cells of a number: a table that gives the quantile bin for the upper 16 bits of a 32-bit float.

`value - centre` as a 32-bit float has in its upper 16 bits the sign, the exponent and seven bits of the mantissa (IEEE 754-2008,
section 3.4). Read as a whole number, these are in the order of the values, with steps of 1/128 of the distance from the centre:
fine around the median and still exact for heavy tails. A table of 65,536 entries replaces a binary search, and gives the cells of
NaN and infinity too. Bin edges lie on this grid, so the table is the definition of the bins, not an approximation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.drift.stream.tiles import ABOVE, BELOW, CELLS, INFINITE, MISSING, VALUE_CELLS, Counts

Floats = npt.NDArray[np.float64]
Grid = npt.NDArray[np.uint16]

GRID = 1 << 16
# Rows that are counted at once: the block and the table stay in the second-level cache.
BLOCK = 16_384


@dataclass(frozen=True, eq=False)
class NumberCells:
    """`table[grid(value - centre)]` is the cell of a value; `bins` cells are in use."""

    centre: float
    table: npt.NDArray[np.uint8]
    bins: int

    def cells(self, values: Floats) -> npt.NDArray[np.uint8]:
        """The cell of each value.

        >>> cells = number_cells(np.arange(640.0))
        >>> cells.cells(np.array([0.0, 639.0, 320.0, -2e3, 2e3, np.nan, np.inf])).tolist()
        [0, 63, 32, 64, 65, 66, 67]
        """
        found: npt.NDArray[np.uint8] = self.table[grid(values, self.centre)]
        return found

    def count(self, values: Floats) -> Counts:
        """Number of values in each of the 70 cells."""
        counts = np.zeros(CELLS, np.int64)
        for first in range(0, values.size, BLOCK):
            counts += np.bincount(self.cells(values[first : first + BLOCK]), minlength=CELLS)
        return counts.astype(np.int32)


def grid(values: Floats, centre: float) -> Grid:
    """Upper 16 bits of `value - centre` as a 32-bit float."""
    with np.errstate(over="ignore", invalid="ignore"):
        distance = np.subtract(values, centre, dtype=np.float64).astype("<f4")
    upper: Grid = distance.view("<u2")[1::2]
    return upper


def number_cells(
    reference: Floats, minimum: float | None = None, maximum: float | None = None
) -> NumberCells:
    """Bins with about equal shares of the finite `reference`; beyond its range, widened by half on each side, out of range.

    `minimum`, `maximum`: what is outside of them is out of range too. Without values every number is in bin 0.
    """
    present = reference[np.isfinite(reference)]
    centre = float(np.median(present)) if present.size else 0.0
    order = _order(np.arange(GRID, dtype=np.uint16))
    counts = np.bincount(_order(grid(present, centre)), minlength=GRID)
    below = np.cumsum(counts) - counts
    middle = (below + counts / 2) / max(1, present.size)
    level = np.minimum(VALUE_CELLS - 1, (middle * VALUE_CELLS).astype(np.int64))
    used = np.unique(level[counts > 0]) if present.size else np.zeros(1, np.int64)
    cell = np.maximum(0, np.searchsorted(used, level, side="right") - 1).astype(np.uint8)
    low, high = _limits(present, minimum, maximum)
    keys = _order(grid(np.array([low, high]), centre))
    cell[: int(keys[0])] = BELOW
    cell[int(keys[1]) + 1 :] = ABOVE
    table = cell[order]
    bits = np.arange(GRID)
    special = (bits & 0x7F80) == 0x7F80
    table[special] = MISSING
    table[special & ((bits & 0x7F) == 0)] = INFINITE
    return NumberCells(centre, table, used.size)


def _limits(present: Floats, minimum: float | None, maximum: float | None) -> tuple[float, float]:
    low, high = -np.inf, np.inf
    if present.size:
        margin = (float(present.max()) - float(present.min())) / 2
        # A constant column has no scale of its own: any other value is out of range.
        low, high = float(present.min()) - margin, float(present.max()) + margin
    return max(low, -np.inf if minimum is None else minimum), min(
        high, np.inf if maximum is None else maximum
    )


def _order(bits: Grid) -> npt.NDArray[np.int64]:
    """Places of the grid's values in ascending order: negative numbers are stored as sign and magnitude."""
    wide = bits.astype(np.int64)
    place: npt.NDArray[np.int64] = np.where(wide & 0x8000, 0xFFFF - wide, wide + 0x8000)
    return place
