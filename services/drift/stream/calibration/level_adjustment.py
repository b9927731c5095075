"""The spread of a column whose mean moves slowly: around the mean of the tile, not around that of the reference.

A slow signal in the location makes the squared scores of a whole tile large together. Their sums then have a long tail, which no
long-run variance describes. So the square of the tile's mean is subtracted (the sum of squares within groups of an analysis of
variance), and what the spread still depends on that mean: bins end at the outermost quantiles, so rows near them vary less. This
dependence is a polynomial of the tile's mean, fitted to the reference's tiles by least squares.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.drift.stream.statistics.scores import Floats

DEGREE = 4
# Fewer tiles give the constant alone.
MINIMUM_TILES = 100


@dataclass(frozen=True, eq=False)
class LevelAdjustment:
    """`weight`: (columns,), of the squared mean; 0: no adjustment.

    `coefficients`: (columns, 5), per row, of powers of the tile's mean, within its range `low` to `high` in the reference.
    """

    weight: Floats
    coefficients: Floats
    low: Floats
    high: Floats

    def adjust(self, sums: Floats, rows: Floats) -> Floats:
        """Sums of scores, (..., columns, 2), of `rows` rows, (..., columns), with the spread adjusted."""
        if not self.weight.any():
            return sums
        many = np.maximum(1.0, rows)
        between = np.where(rows > 0, sums[..., 0] ** 2 / many - 1, 0.0)
        mean = np.clip(sums[..., 0] / many, self.low, self.high)
        expected = (_powers(mean) * self.coefficients).sum(axis=-1)
        spread = sums[..., 1] - self.weight * between - rows * expected
        return np.stack([sums[..., 0], spread], axis=-1)


def unadjusted(columns: int) -> LevelAdjustment:
    """No adjustment."""
    zeros = np.zeros(columns)
    return LevelAdjustment(zeros, np.zeros((columns, DEGREE + 1)), zeros, zeros)


def level_adjustment(sums: Floats, rows: Floats, weight: Floats) -> LevelAdjustment:
    """Fitted to the reference's tiles: sums (tiles, columns, 2), rows (tiles, columns); `weight` as in the result."""
    columns = weight.size
    none = unadjusted(columns)
    if not weight.any():
        return none
    squared = LevelAdjustment(weight, none.coefficients, none.low, none.high).adjust(sums, rows)
    mean = sums[..., 0] / np.maximum(1.0, rows)
    low, high = mean.min(axis=0), mean.max(axis=0)
    degree = DEGREE if sums.shape[0] >= MINIMUM_TILES else 0
    coefficients = np.zeros((columns, DEGREE + 1))
    for column in np.flatnonzero(weight):
        root = np.sqrt(np.maximum(rows[:, column], 1e-9))
        design = _powers(mean[:, column])[:, : degree + 1] * root[:, None]
        coefficients[column, : degree + 1] = np.linalg.lstsq(
            design, squared[:, column, 1] / root, rcond=None
        )[0]
    return LevelAdjustment(weight, coefficients, low, high)


def _powers(mean: Floats) -> Floats:
    result: Floats = mean[..., None] ** np.arange(DEGREE + 1)
    return result
