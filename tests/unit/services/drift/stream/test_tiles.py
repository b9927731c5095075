from __future__ import annotations

import numpy as np

from services.drift.stream.tiles import CELLS, Tile, add_tiles, empty_tile
from shared.contracts.event_time import from_micros


def tile(start: int, end: int, cell: int) -> Tile:
    counts = np.zeros((2, CELLS), np.int32)
    counts[:, cell] = 3
    return Tile(start, end, 3, counts)


def test_sum_of_tiles_covers_their_time_and_rows() -> None:
    total = add_tiles([tile(10, 20, 0), tile(20, 30, 1), empty_tile(30, 40, 2)])
    assert (total.start, total.end, total.rows) == (10, 40, 6)
    assert total.counts[:, :3].tolist() == [[3, 3, 0], [3, 3, 0]]


def test_tile_gives_its_times_as_datetimes() -> None:
    assert tile(10, 20, 0).start_time == from_micros(10)
    assert tile(10, 20, 0).end_time == from_micros(20)
