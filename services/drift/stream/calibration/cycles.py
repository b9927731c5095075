"""Daily and weekly cycles of the scores: what a score's mean is at a time of day and week (harmonic regression).

The reference's tiles are regressed on sines and cosines of the day and the week (Bloomfield 2000, chapter 2). A pair is kept if a
column's F test is significant at `SIGNIFICANCE` after Bonferroni's correction; the live tile is compared with the mean of its own
phase. A period is looked for if the reference covers it twice. Every coefficient is estimated, so the reference counts for fewer
rows: with p coefficients the variance of a fitted mean is about p/R (ibid.).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import fdtrc

from services.drift.stream.calibration.reference_series import ReferenceSeries
from services.drift.stream.statistics.scores import Floats

DAY = 86_400 * 1_000_000
WEEK = 7 * DAY
# Periods in µs: the day and its harmonics, the week and its first harmonics.
PERIODS = (DAY, DAY // 2, DAY // 3, DAY // 4, WEEK, WEEK // 2, WEEK // 3)
SIGNIFICANCE = 1e-4


@dataclass(frozen=True, eq=False)
class Cycles:
    """`periods` in µs; `coefficients`: (2 * periods, columns, 2) of cosines and sines; `variance` they explain, per score."""

    periods: npt.NDArray[np.int64]
    coefficients: Floats
    variance: Floats

    def mean(self, middle: int | npt.NDArray[np.int64]) -> Floats:
        """Mean score at the phase of the middle (µs) of a tile: (columns, 2), or (tiles, columns, 2)."""
        result: Floats = np.tensordot(_waves(np.asarray(middle), self.periods), self.coefficients, axes=1)
        return result

    @property
    def dilution(self) -> float:
        """Factor by which the coefficients increase the variance of the reference's mean."""
        return 1.0 + 2 * self.periods.size


def find_cycles(series: ReferenceSeries) -> Cycles:
    """The significant cycles of the reference."""
    shape = series.sums.shape[1:]
    none = Cycles(np.zeros(0, np.int64), np.zeros((0, *shape)), np.zeros(shape))
    # From the start of the first tile to the end of the last one: two weeks of tiles are two weeks.
    between = int(series.middle[-1] - series.middle[0]) if series.tiles else 0
    span = between + between // max(1, series.tiles - 1)
    possible = np.array(
        [period for period in PERIODS if span >= 2 * (WEEK if period >= WEEK // 3 and period > DAY else DAY)],
        np.int64,
    )
    if possible.size == 0 or series.tiles < 8 * possible.size or shape[0] == 0:
        return none
    weight = np.sqrt(np.maximum(series.rows, 1e-9))
    target = series.sums / np.maximum(weight, 1e-9)[..., None]
    kept = [period for period in possible if _significant(series, target, weight, period, possible.size)]
    if not kept:
        return none
    periods = np.array(kept, np.int64)
    coefficients = _fit(series, periods)
    variance = (coefficients**2).sum(axis=0) / 2
    return Cycles(periods, coefficients, variance)


def _significant(
    series: ReferenceSeries, target: Floats, weight: Floats, period: np.int64, tests: int
) -> bool:
    """Whether a sine of this period explains some score.

    Tiles within a sixth of the period are averaged first, as correlated tiles are no independent evidence.
    """
    bins = (series.middle // np.int64(max(1, int(period) // 6))).astype(np.int64)
    _, place = np.unique(bins, return_inverse=True)
    blocks = int(place.max()) + 1
    if blocks < 12:
        return False
    shape = series.sums.shape[1:]
    sums, rows = np.zeros((blocks, *shape)), np.zeros((blocks, shape[0]))
    np.add.at(sums, place, series.sums)
    np.add.at(rows, place, series.rows)
    starts = np.bincount(place, weights=series.middle.astype(np.float64)) / np.bincount(place)
    mean = sums / np.maximum(rows, 1.0)[..., None]
    mean = (mean - mean.mean(axis=0)).reshape(blocks, -1)
    waves = _waves(starts.astype(np.int64), np.array([period]))
    waves = waves - waves.mean(axis=0)
    fitted = waves @ np.linalg.lstsq(waves, mean, rcond=None)[0]
    explained, rest = (fitted**2).sum(axis=0), ((mean - fitted) ** 2).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(rest > 0, explained / 2 / (rest / (blocks - 3)), 0.0)
    p = fdtrc(2, blocks - 3, ratio.max())
    return bool(p * ratio.size * tests < SIGNIFICANCE)


def _fit(series: ReferenceSeries, periods: npt.NDArray[np.int64]) -> Floats:
    waves = _waves(series.middle, periods)
    columns = series.sums.shape[1]
    coefficients = np.zeros((waves.shape[1], columns, 2))
    for column in range(columns):
        rows = series.rows[:, column]
        weighted = waves * np.sqrt(rows)[:, None]
        target = series.sums[:, column] / np.sqrt(np.maximum(rows, 1.0))[:, None]
        coefficients[:, column] = np.linalg.lstsq(weighted, target, rcond=None)[0]
    return coefficients


def _waves(middle: npt.NDArray[np.int64], periods: npt.NDArray[np.int64]) -> Floats:
    phase = 2 * np.pi * (middle[..., None] % periods) / periods
    result: Floats = np.concatenate([np.cos(phase), np.sin(phase)], axis=-1)
    return result
