"""Clustered rows: how much more shares of categories and of special values vary between blocks of tiles than by chance."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from services.drift.stream.calibration.reference_series import ReferenceSeries
from services.drift.stream.layout import TileLayout
from services.drift.stream.statistics.bursts import BURSTS
from services.drift.stream.statistics.category_cusum import watched_categories
from services.drift.stream.statistics.scores import Floats
from services.drift.stream.tiles import VALUE_CELLS

MINIMUM_BLOCKS = 8
# Standard errors above 1 at which a design effect counts.
SIGNIFICANT = 3.0


def category_variance(layout: TileLayout, series: ReferenceSeries) -> Floats:
    """Long-run variance of each watched column of categories, from the chi-square statistic of blocks of tiles."""
    return np.array(
        [block_variance(series, series.cells[place], VALUE_CELLS) for place in watched_categories(layout)]
    )


def burst_variance(layout: TileLayout, series: ReferenceSeries) -> Floats:
    """Long-run variance of each column's shares of special values."""
    found = np.ones((len(layout.columns), len(BURSTS)))
    for place in range(len(layout.columns)):
        for kind, (_, cells) in enumerate(BURSTS):
            hit = np.isin(series.cells[place], cells)
            if hit.any():
                found[place, kind] = block_variance(series, hit.astype(np.uint8), 2)
    return found


def block_variance(series: ReferenceSeries, cells: npt.NDArray[np.uint8], width: int) -> float:
    """Largest ratio of the chi-square statistic of blocks of 1, 4, 16, … tiles to its degrees of freedom; 1 if not significant.

    The ratio of clustered rows is their design effect (Rao, Scott 1981).
    """
    largest, size = 1.0, 1
    measured = cells < width
    while series.tiles // size >= MINIMUM_BLOCKS:
        block = series.tile_of // size
        counts = np.bincount(block[measured] * width + cells[measured], minlength=(block[-1] + 1) * width)
        table = counts.reshape(-1, width).astype(np.float64)
        table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
        rows, columns = table.shape
        if columns < 2 or rows < MINIMUM_BLOCKS:
            break
        expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
        degrees = (rows - 1) * (columns - 1)
        ratio = float(((table - expected) ** 2 / expected).sum()) / degrees
        # The variance of the statistic is larger than that of chi-square where categories are rare.
        error = np.sqrt(2 / degrees + float((1 / expected).mean()) / degrees)
        if ratio > 1 + SIGNIFICANT * error:
            largest = max(largest, ratio)
        size *= 4
    return largest
