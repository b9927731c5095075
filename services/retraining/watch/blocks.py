"""Blocks of a watch: paired losses of consecutive rows by event time, each block one observation of the test. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from services.retraining.watch.paired_test import Evidence, evidence_of

Floats = npt.NDArray[np.float64]

# A watch of a week has blocks of six hours: on the flights of examples/flights, where storms make one version or the other worse
# for hours, blocks of one hour found four of nine promotions worse within a week, and blocks of six hours none.
BLOCKS_PER_WATCH = 28
# A part of the grid with fewer rows is joined with the next one.
MINIMUM_ROWS = 30


@dataclass(frozen=True)
class Block:
    """Mean losses of the released version and of the former one on the same `rows`, with event times in [start, end)."""

    start: datetime
    end: datetime
    rows: int
    loss: float
    former_loss: float

    def to_json(self) -> list[Any]:
        """For the ledger."""
        return [self.start.isoformat(), self.end.isoformat(), self.rows, self.loss, self.former_loss]

    @classmethod
    def of_json(cls, stored: Sequence[Any]) -> Block:
        """From the ledger."""
        start, end, rows, loss, former_loss = stored
        return cls(datetime.fromisoformat(start), datetime.fromisoformat(end), rows, loss, former_loss)


def last_edge(start: datetime, end: datetime, settled: datetime) -> datetime:
    """The end of the last part of the grid that lies before `settled`; `start` if there is none.

    >>> from datetime import UTC
    >>> day = datetime(2013, 1, 1, tzinfo=UTC)
    >>> last_edge(day, day + timedelta(days=7), day + timedelta(hours=13)).isoformat()
    '2013-01-01T12:00:00+00:00'
    """
    length = (end - start) / BLOCKS_PER_WATCH
    parts = min(BLOCKS_PER_WATCH, max(0, (settled - start) // length))
    return end if parts == BLOCKS_PER_WATCH else start + parts * length


def close_blocks(
    start: datetime,
    end: datetime,
    begin: datetime,
    until: datetime,
    times: npt.NDArray[np.int64],
    losses: Floats,
    former_losses: Floats,
) -> list[Block]:
    """The blocks of rows with event times in [begin, until), an edge of the grid of a watch from `start` to `end`.

    `times`: event times in microseconds, ascending. Rows of the last parts, if they are fewer than MINIMUM_ROWS, are in no block:
    they are read again with the rows after them.
    """
    length = (end - start) / BLOCKS_PER_WATCH
    edges = [
        part for number in range(1, BLOCKS_PER_WATCH) if begin < (part := start + number * length) < until
    ]
    blocks: list[Block] = []
    opened, first = begin, 0
    for edge in [*edges, until]:
        last = int(np.searchsorted(times, _micros(edge)))
        if last - first < MINIMUM_ROWS:
            continue
        kept = slice(first, last)
        blocks.append(
            Block(opened, edge, last - first, float(losses[kept].mean()), float(former_losses[kept].mean()))
        )
        opened, first = edge, last
    return blocks


def judge(blocks: Sequence[Block], tolerance: float, *, root: bool) -> Evidence:
    """Evidence that the released version is worse than the former one by more than `tolerance`, in the metric; or better.

    `root`: losses are squares and the metric is the root of their mean (rmse). Then sqrt(a) - sqrt(b) > tolerance is the same as
    a - b > tolerance * (sqrt(a) + sqrt(b)), with the roots of the blocks before, so that the margin is known before the block.

    >>> from datetime import UTC
    >>> day = datetime(2013, 1, 1, tzinfo=UTC)
    >>> blocks = [Block(day, day, 100, 4.0, 1.0)] * 20
    >>> judge(blocks, 0.5, root=True).is_worse, judge(blocks, 1.5, root=True).is_worse, judge(blocks, 1.5, root=False).is_worse
    (True, False, True)
    """
    differences = []
    loss = former = 0.0
    for number, block in enumerate(blocks):
        roots = (math.sqrt(loss / number) + math.sqrt(former / number)) if number else 0.0
        differences.append(block.loss - block.former_loss - tolerance * (roots if root else 1.0))
        loss, former = loss + block.loss, former + block.former_loss
    return evidence_of(differences)


def mean_losses(blocks: Sequence[Block]) -> tuple[float, float]:
    """Mean losses of both versions over the rows of all blocks. NaN without rows."""
    rows = sum(block.rows for block in blocks)
    if not rows:
        return math.nan, math.nan
    mean = sum(block.loss * block.rows for block in blocks) / rows
    return mean, sum(block.former_loss * block.rows for block in blocks) / rows


def _micros(moment: datetime) -> int:
    return round((moment - datetime(1970, 1, 1, tzinfo=moment.tzinfo)) / timedelta(microseconds=1))
