"""The reference as a stream: the tiles of its rows in time order, as sums of scores."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt

from services.drift.stream.layout import TileLayout
from services.drift.stream.statistics.scores import Floats, Scores
from services.drift.stream.tiles import CELLS, MEASURED_CELLS
from shared.contracts.event_time import INSTANT

ROWS_PER_TILE = 50


@dataclass(frozen=True, eq=False)
class ReferenceSeries:
    """Per non-empty tile: its `middle` (µs), sums of scores (tiles, columns, 2) and rows with a value (tiles, columns).

    `cells`: (layout columns, rows) of all rows in time order; `tile_of`: the tile of each row.
    """

    middle: npt.NDArray[np.int64]
    sums: Floats
    rows: Floats
    cells: npt.NDArray[np.uint8]
    tile_of: npt.NDArray[np.int64]

    @property
    def tiles(self) -> int:
        """Number of tiles."""
        return int(self.middle.size)


def reference_series(layout: TileLayout, scores: Scores, tile: timedelta) -> ReferenceSeries:
    """Tiles of `tile` event time; of 50 rows each where the reference covers no time."""
    rows = layout.reference.rows
    cells, length = layout.cells(rows), tile // INSTANT
    times = rows.event_time
    place = times // length if layout.reference.length else np.arange(len(rows)) // ROWS_PER_TILE
    keys, tile_of = np.unique(place, return_inverse=True)
    middle = keys * length + length // 2
    sums = np.zeros((keys.size, scores.columns.size, 2))
    counts = np.zeros((keys.size, scores.columns.size))
    for row, column in enumerate(scores.columns):
        measured = cells[column] < MEASURED_CELLS
        counts[:, row] = np.bincount(tile_of, weights=measured, minlength=keys.size)
        for kind in range(2):
            value = np.zeros(CELLS)
            value[:MEASURED_CELLS] = scores.values[row, kind]
            sums[:, row, kind] = np.bincount(tile_of, weights=value[cells[column]], minlength=keys.size)
    return ReferenceSeries(middle.astype(np.int64), sums, counts, cells, tile_of.astype(np.int64))
