"""Scores of the cells of a number: what a row says about its location and its spread, by rank.

Location: the normal score of the row's bin, E[Z | Z in the bin], with Z standard normal and the bin between the quantiles of the
reference (van der Waerden 1952; conditional expectations for tied ranks: Hájek, Šidák, Sen 1999). A shift of a normal column by
d standard deviations moves its mean by d, and no outlier moves it by more than the outermost bin does. Spread: the square of it,
orthogonal to the location (Klotz 1962). Both have mean 0 and variance 1 under the reference.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from services.drift.stream.cells.category_cells import CategoryCells
from services.drift.stream.layout import TileLayout
from services.drift.stream.tiles import ABOVE, BELOW, MEASURED_CELLS, VALUE_CELLS, Counts

Floats = npt.NDArray[np.float64]

KINDS = ("location", "spread")


@dataclass(frozen=True, eq=False)
class Scores:
    """Scores of the watched numeric columns.

    `columns`: places in the layout; `shares`: (columns, 66) of the reference; `values`: (columns, 2, 66); `usable`:
    (columns, 2), False where all rows of the reference have the same score; `rows`: the reference's rows with a value;
    `square_scale`: standard deviation of the squared location score, by which the spread score is divided.
    """

    columns: npt.NDArray[np.int64]
    shares: Floats
    values: Floats
    usable: npt.NDArray[np.bool_]
    rows: Floats
    square_scale: Floats

    def sums(self, counts: Counts) -> tuple[Floats, Floats]:
        """Sums of the scores, (..., columns, 2), and rows with a value, (..., columns), of counts (..., layout columns, 70)."""
        measured = counts[..., self.columns, :MEASURED_CELLS].astype(np.float64)
        # One product of matrices per column: far cheaper than a product over every pair of axes.
        flat = measured.reshape(-1, *measured.shape[-2:])
        sums = np.matmul(self.values, flat.transpose(1, 2, 0)).transpose(2, 0, 1)
        sums = sums.reshape(*measured.shape[:-1], len(KINDS))
        return sums, measured.sum(axis=-1)


def scores_of(layout: TileLayout, reference: Counts) -> Scores:
    """The scores, from the counts of the reference's rows."""
    columns = np.array(
        [
            place
            for place, column in enumerate(layout.columns)
            if column.watched and not isinstance(column.cells, CategoryCells)
        ],
        np.int64,
    )
    counts = reference[columns, :MEASURED_CELLS].astype(np.float64)
    shares = measured_shares(counts)
    values = np.zeros((columns.size, len(KINDS), MEASURED_CELLS))
    usable = np.zeros((columns.size, len(KINDS)), bool)
    scale = np.ones(columns.size)
    for place in range(columns.size):
        values[place], usable[place], scale[place] = _column_scores(shares[place])
    return Scores(columns, shares, values, usable, counts.sum(axis=1), scale)


def measured_shares(counts: Floats) -> Floats:
    """Shares of the cells in use; out-of-range cells, which the reference may lack, get half a row
    (Krichevsky, Trofimov 1981)."""
    smoothed = counts.copy()
    smoothed[..., BELOW : ABOVE + 1] += 0.5
    result: Floats = smoothed / smoothed.sum(axis=-1, keepdims=True)
    return result


def _column_scores(shares: Floats) -> tuple[Floats, npt.NDArray[np.bool_], float]:
    order = np.array([BELOW, *range(VALUE_CELLS), ABOVE])
    ordered = shares[order]
    used = ordered > 0
    upper = np.clip(np.cumsum(ordered), 0.0, 1.0)
    lower = np.concatenate([[0.0], upper[:-1]])
    density = np.exp(-(ndtri(np.stack([lower, upper])) ** 2) / 2) / np.sqrt(2 * np.pi)
    score = np.zeros(MEASURED_CELLS)
    score[used] = (density[0] - density[1])[used] / ordered[used]
    # A value out of range says no more than one of the outermost bin in use.
    inside = np.flatnonzero(used[1:-1]) + 1
    if inside.size:
        score[0], score[-1] = score[inside[0]], score[inside[-1]]
    score -= ordered @ score
    location, is_location = _standardise(score, ordered)
    square = np.where(used, location**2 - 1, 0.0)
    square -= (ordered @ (square * location)) * location
    square = np.where(used, square - ordered @ square, 0.0)
    spread, is_spread = _standardise(square, ordered)
    values = np.zeros((len(KINDS), MEASURED_CELLS))
    values[0, order], values[1, order] = location, spread
    scale = float(np.sqrt(ordered @ square**2)) if is_spread else 1.0
    return values, np.array([is_location, is_spread]), scale


def _standardise(score: Floats, shares: Floats) -> tuple[Floats, bool]:
    variance = float(shares @ score**2)
    # Half a row out of range is no variation.
    return (score / np.sqrt(variance), True) if variance > 1e-3 else (np.zeros_like(score), False)


def log_moments(scores: Scores, tilt: Floats) -> Floats:
    """Logarithm of E[exp(tilt * score)] under the reference: (columns, 2, tilts)."""
    with np.errstate(divide="ignore"):
        exponent = scores.values[..., None, :] * tilt[:, None] + np.log(scores.shares)[:, None, None, :]
    result: Floats = np.logaddexp.reduce(exponent, axis=-1)
    return result
