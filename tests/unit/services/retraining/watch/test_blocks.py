"""Blocks of a watch: the same ones however the rows arrive."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from services.retraining.watch.blocks import (
    BLOCKS_PER_WATCH,
    MINIMUM_ROWS,
    Block,
    close_blocks,
    last_edge,
    mean_losses,
)

START = datetime(2013, 1, 1, tzinfo=UTC)
END = START + timedelta(hours=BLOCKS_PER_WATCH)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def hourly(per_hour: int, hours: int = BLOCKS_PER_WATCH) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    first = int((START - EPOCH).total_seconds() * 1e6)
    times = first + np.arange(per_hour * hours) * 3_600_000_000 // per_hour
    losses = np.random.default_rng(1).random((2, len(times)))
    return times, losses[0], losses[1]


def blocks_until(hours: list[int], per_hour: int) -> list[Block]:
    """Blocks found by looks after these numbers of hours."""
    times, losses, former = hourly(per_hour)
    found: list[Block] = []
    for hour in hours:
        begin = found[-1].end if found else START
        until = last_edge(START, END, START + timedelta(hours=hour))
        if begin < until:
            low, high = (
                np.searchsorted(times, int((edge - EPOCH).total_seconds() * 1e6)) for edge in (begin, until)
            )
            rows = slice(int(low), int(high))
            found += close_blocks(START, END, begin, until, times[rows], losses[rows], former[rows])
    return found


@pytest.mark.parametrize("per_hour", [1, 7, 29, 30, 100])
def test_looks_do_not_change_blocks(per_hour: int) -> None:
    at_once = blocks_until([BLOCKS_PER_WATCH], per_hour)
    assert blocks_until(list(range(BLOCKS_PER_WATCH + 1)), per_hour) == at_once
    assert blocks_until([3, 3, 17, BLOCKS_PER_WATCH], per_hour) == at_once
    assert all(block.rows >= MINIMUM_ROWS for block in at_once)


def test_blocks_have_the_means_of_their_rows() -> None:
    times, losses, former = hourly(40)
    found = close_blocks(START, END, START, END, times, losses, former)
    assert [block.rows for block in found] == [40] * BLOCKS_PER_WATCH
    assert found[2].loss == pytest.approx(losses[80:120].mean())
    assert found[2].former_loss == pytest.approx(former[80:120].mean())
    assert mean_losses(found) == pytest.approx((losses.mean(), former.mean()))


def test_a_block_survives_the_ledger() -> None:
    times, losses, former = hourly(40)
    (first, *_) = close_blocks(START, END, START, END, times, losses, former)
    assert Block.of_json(first.to_json()) == first


def test_the_grid_ends_with_the_watch() -> None:
    assert last_edge(START, END, END + timedelta(days=400)) == END
    assert last_edge(START, END, START - timedelta(days=1)) == START
