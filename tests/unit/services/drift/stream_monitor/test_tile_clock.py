"""Tiles are closed by the rows' own time, each once, and hold every row that is not from another time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from services.drift.stream_monitor.tile_clock import ClosedTile, TileClock

SECOND = 1_000_000
Clock = TileClock[int]


def clock(length: int = 10, too_late: int = 60) -> Clock:
    return TileClock(length * SECOND, too_late * SECOND)


def add(clock: Clock, *seconds: float, answered: float | None = None) -> list[tuple[int, int, int]]:
    """Add one record of rows at these seconds; the tiles closed as (start, end, rows), in seconds."""
    times = np.array([round(second * SECOND) for second in seconds], np.int64)
    answers = np.full_like(times, (10**9 if answered is None else answered) * SECOND)

    closed: list[ClosedTile[int]] = []
    for part in clock.split(times, answers):
        closed += clock.add(part, int(part.rows.size))
    return [(tile.start // SECOND, tile.end // SECOND, tile.counts) for tile in closed]


def test_tile_is_closed_one_length_after_its_end() -> None:
    tiles = clock()
    assert add(tiles, 100, 101, 109.9) == []
    assert add(tiles, 119.9) == []
    assert add(tiles, 120) == [(100, 110, 3)]
    assert add(tiles, 140) == [(110, 120, 1), (120, 130, 1)]


def test_rows_out_of_order_within_a_length_are_in_time() -> None:
    tiles = clock()
    add(tiles, 115)
    add(tiles, 104)
    assert add(tiles, 125) == [(100, 110, 1)]
    assert tiles.late == 0


def test_late_row_counts_in_the_oldest_open_tile() -> None:
    tiles = clock()
    add(tiles, 100)
    add(tiles, 130)
    assert add(tiles, 101) == []
    assert (tiles.late, tiles.too_late_rows) == (1, 0)
    assert add(tiles, 150) == [(130, 140, 2)]


def test_rows_from_another_time_count_nowhere() -> None:
    tiles = clock(too_late=60)
    add(tiles, 1000)
    assert add(tiles, 100, 200, 939) == []
    assert (tiles.late, tiles.too_late_rows) == (3, 3)
    assert add(tiles, 1020) == [(1000, 1010, 1)]


def test_row_dated_in_the_future_closes_nothing() -> None:
    tiles = clock()
    add(tiles, 100, answered=100)
    assert add(tiles, 100 + 86_400, answered=101) == []
    assert add(tiles, 102, answered=102) == []
    assert add(tiles, 120, answered=120) == [(100, 110, 3)]


def test_gap_has_no_tiles() -> None:
    tiles = clock()
    add(tiles, 100)
    assert add(tiles, 100_000) == [(100, 110, 1)]
    assert add(tiles, 100_020) == [(100_000, 100_010, 1)]


def test_at_most_two_tiles_are_open() -> None:
    tiles = clock(length=1)
    random = np.random.default_rng(5)
    at = 0.0
    for _ in range(300):
        at += float(random.exponential(3))
        add(tiles, *(at + random.normal(0, 20, 7) + 1000))
        assert len(tiles.open) <= 2


@pytest.mark.parametrize("seed", range(5))
def test_no_row_is_lost_or_counted_twice(seed: int) -> None:
    random = np.random.default_rng(seed)
    tiles, rows, closed = clock(length=3, too_late=20), 0, []
    for step in range(200):
        size = int(random.integers(1, 9))
        rows += size
        closed += add(tiles, *(1000 + step + random.normal(0, 8, size)))
    inside = sum(tiles.open.values())
    assert sum(count for _, _, count in closed) + inside + tiles.too_late_rows == rows
    assert tiles.late > tiles.too_late_rows > 0
    starts = [start for start, _, _ in closed]
    assert starts == sorted(set(starts)), "each tile is closed once, in order"


def test_one_record_gives_the_tiles_that_its_rows_give_one_by_one() -> None:
    seconds: npt.NDArray[np.float64] = np.sort(np.random.default_rng(3).uniform(100, 400, 500))
    together, single = clock(), clock()
    at_once = add(together, *seconds)
    assert at_once == [tile for second in seconds for tile in add(single, second)]
    assert (together.open, together.closed_below) == (single.open, single.closed_below)
