"""The tile clock: which tile of event time a row belongs to, and when a tile is complete. Pure; no clock but the rows' own.

1. Tiles have the same length and lie on a grid from 1970.
2. A tile is closed when event time has moved past its end by one tile length. So at most two tiles are open.
3. A row whose tile is closed is late: it counts in the oldest open tile. One that is later than `too_late` counts nowhere: it is
   of a batch from another time, such as yesterday's rows scored today, and would look like drift.
4. An event time after the row was answered counts as the time of the answer: one row dated tomorrow must not close every tile.

The tiles that are closed, and what is in them, depend on the rows and their order alone: the same records give the same tiles,
whenever they are read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Generic, Protocol, Self, TypeVar

import numpy as np
import numpy.typing as npt

Times = npt.NDArray[np.int64]


class Additive(Protocol):
    """What is counted in a tile: the counts of rows added to those of other rows are the counts of both."""

    def __add__(self, other: Self, /) -> Self: ...


T = TypeVar("T", bound=Additive)


@dataclass(frozen=True)
class ClosedTile(Generic[T]):
    """A complete tile: event time (µs since 1970) from `start`, inclusive, to `end`, and what was counted."""

    start: int
    end: int
    counts: T


@dataclass(frozen=True)
class Part:
    """Rows of one record in one tile: the tile's number on the grid, the rows' places in the record, their latest time."""

    number: int
    rows: npt.NDArray[np.int64]
    newest: int


@dataclass
class TileClock(Generic[T]):
    """The tiles of one generation. `length` and `too_late` in microseconds of event time.

    `open`: counts by the tile's number on the grid. `closed_below`: all tiles with lower numbers are closed. `newest`: the latest
    event time so far. `late` and `too_late_rows`: rows so far.
    """

    length: int
    too_late: int
    open: dict[int, T] = field(default_factory=dict)
    closed_below: int | None = None
    newest: int = 0
    late: int = 0
    too_late_rows: int = 0

    def split(self, times: Times, answered: Times) -> list[Part]:
        """The parts of a record that fall into different tiles, in order of time; changes nothing.

        `times`, `answered`: event time and time of the answer of each row.
        """
        happened = np.minimum(times, answered)
        order = np.argsort(happened, kind="stable")
        numbers = happened[order] // self.length
        edges = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist(), numbers.size]
        return [
            Part(int(numbers[low]), order[low:high], int(happened[order[high - 1]]))
            for low, high in pairwise(edges)
            if high > low
        ]

    def add(self, part: Part, counts: T) -> list[ClosedTile[T]]:
        """Add the counts of a part; returns the tiles that it closes, in order."""
        number, size = part.number, int(part.rows.size)
        if self.closed_below is None:
            self.closed_below = number - 1
        if number < self.closed_below:
            self.late += size
            if part.newest < self.newest - self.too_late:
                self.too_late_rows += size
                return []
            number = min(self.open, default=self.closed_below)
        self.open[number] = self.open[number] + counts if number in self.open else counts
        self.newest = max(self.newest, part.newest)
        return self._close()

    def _close(self) -> list[ClosedTile[T]]:
        # Tile n ends at (n + 1) * length and waits for one length more.
        complete_below = self.newest // self.length - 1
        self.closed_below = max(self.closed_below or 0, complete_below)
        done = sorted(number for number in self.open if number < self.closed_below)
        return [
            ClosedTile(number * self.length, (number + 1) * self.length, self.open.pop(number))
            for number in done
        ]
