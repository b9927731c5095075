"""What one column of the reference looks like, and how much it varies against itself from block to block.

Rows in time order are rarely independent: a storm lasts for hours. So blocks of the reference, as long as the window where
there are enough rows, are replayed against the rest of the reference through the same distance. How much larger these distances
are than the closed form for independent rows is the inflation; how few blocks there were makes the tail heavier (F instead of
chi-square).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import stats

from services.drift.thresholds.null_distribution import (
    NO_CHANCE,
    Chance,
    jensenshannon_chance,
    wasserstein_chance,
)

Floats = npt.NDArray[np.float64]
Kind = Literal["numeric", "category"]

MOST_POINTS = 256
MOST_BLOCKS = 64
FEWEST_BLOCKS = 16
SHORTEST_BLOCK = 10


@dataclass(frozen=True)
class Inflation:
    """How many times larger than for independent rows the squared distance is, seen in `blocks` blocks of `freedom` each."""

    factor: float
    blocks: int
    freedom: float


@dataclass(frozen=True)
class Baseline:
    """One column of the reference, in time order, as codes into a grid; `widths` is empty for a category."""

    kind: Kind
    codes: npt.NDArray[np.int64]
    cells: int
    widths: Floats
    independent: Chance

    @property
    def rows(self) -> int:
        """Reference rows with a value."""
        return int(self.codes.size)

    def chance(self, size: float) -> Chance:
        """The closed form for independent rows at m = `size`."""
        if self.kind == "numeric":
            return self.independent
        return jensenshannon_chance(np.bincount(self.codes, minlength=self.cells), size)

    def inflation(self, block_rows: float) -> Inflation:
        """Replay blocks of `block_rows` rows (shorter ones where the reference is too short) against the rest."""
        length = int(max(SHORTEST_BLOCK, min(block_rows, self.rows / FEWEST_BLOCKS)))
        blocks = min(MOST_BLOCKS, self.rows // length)
        size = 1 / length + 1 / max(1, self.rows - length)
        chance = self.chance(size)
        if blocks < 4 or chance.mean == 0:
            return Inflation(1.0, max(blocks, 4), chance.freedom)
        # The latest blocks, so that where not all fit, the most recent time counts.
        codes = self.codes[self.rows - blocks * length :].reshape(blocks, length)
        offsets = np.arange(blocks)[:, None] * self.cells
        counts = np.bincount((codes + offsets).ravel(), minlength=blocks * self.cells).reshape(
            blocks, self.cells
        )
        total = np.bincount(self.codes, minlength=self.cells)
        rest = (total - counts) / (self.rows - length)
        squared = self._squared(counts / length, rest)
        mean, variance = float(squared.mean()), float(squared.var(ddof=1))
        factor = max(1.0, mean / (chance.mean * size))
        if factor > 1 + 2 * math.sqrt(2 / (blocks * chance.freedom)):
            # Really correlated: then few directions carry most of the distance, and the spread seen in a few blocks is likely
            # too small. Take its upper 90 % limit.
            variance *= (blocks - 1) / float(stats.chi2.ppf(0.1, blocks - 1))
        freedom = chance.freedom if variance == 0 else 2 * mean**2 / variance
        return Inflation(factor, blocks, float(np.clip(freedom, 1.0, chance.freedom)))

    def _squared(self, shares: Floats, rest: Floats) -> Floats:
        if self.kind == "numeric":
            gaps = np.abs(np.cumsum(shares - rest, axis=1)[:, :-1])
            result: Floats = (gaps @ self.widths) ** 2
            return result
        middle = (shares + rest) / 2
        result = (_relative_entropy(shares, middle) + _relative_entropy(rest, middle)) / 2
        return result


def numeric_baseline(values: Floats) -> Baseline:
    """Baseline of the finite `values`, in time order; distances are in standard deviations of them."""
    points = np.unique(values)
    if points.size > MOST_POINTS:
        points = np.unique(np.quantile(values, np.linspace(0, 1, MOST_POINTS), method="higher"))
    codes = np.searchsorted(points, values, side="left").astype(np.int64)
    spread = float(values.std()) if values.size else 0.0
    widths = np.diff(points) / spread if spread > 0 else np.zeros(max(0, points.size - 1))
    counts = np.bincount(codes, minlength=points.size)
    below = np.cumsum(counts)[:-1] / max(1, values.size)
    return Baseline("numeric", codes, max(1, points.size), widths, wasserstein_chance(below, widths))


def category_baseline(values: npt.NDArray[np.object_]) -> Baseline:
    """Baseline of the categories `values` (strings without missing ones), in time order."""
    levels, codes = np.unique(values.astype(str), return_inverse=True)
    return Baseline("category", codes.astype(np.int64), max(1, levels.size), np.empty(0), NO_CHANCE)


@dataclass(frozen=True)
class Sizes:
    """Rows a distance rests on. `expected` is how many rows the reference has in a stretch of time as long as the window: serial
    correlation lives in time, so a busier window holds more rows but no more independent moments."""

    window: int
    window_sampled: int
    reference: int
    reference_sampled: int
    expected: float


def distance_limit(baseline: Baseline, sizes: Sizes, alarm_chance: float) -> float:
    """The distance that chance exceeds with probability `alarm_chance` when nothing has changed."""
    if min(sizes.window_sampled, sizes.reference_sampled, baseline.rows) == 0:
        return 0.0
    inflation = baseline.inflation(sizes.expected)
    serial = (inflation.factor - 1) * (1 / max(1.0, sizes.expected) + 1 / sizes.reference)
    size = 1 / sizes.window_sampled + 1 / sizes.reference_sampled
    tail = float(stats.f.isf(alarm_chance, inflation.freedom, inflation.freedom * (inflation.blocks - 1)))
    return float(np.sqrt(baseline.chance(size).mean * (size + serial) * tail))


def _relative_entropy(shares: Floats, middle: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(shares > 0, shares * np.log(shares / middle), 0.0)
    result: Floats = terms.sum(axis=1)
    return result
