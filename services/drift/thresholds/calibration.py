"""Baseline of one reference column: its distribution, and how much it varies against itself from block to block.

Rows in time order are rarely independent. So blocks of the reference, as long as the window where there are enough rows, are
compared with the rest of the reference by the same distance (batch means: Schmeiser 1982). The ratio of these squared distances
to the closed form for independent rows is the design effect, or variance inflation (Kish 1965; for chi-square statistics Rao and
Scott 1981). With few blocks the design effect is uncertain: the tail is that of F, not of chi-square (Thomas and Rao 1987).

docs/statistics.md derives the threshold and lists the sources.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.special import chdtri, fdtri

from services.drift.thresholds.null_distribution import (
    NO_VARIATION,
    NullDistribution,
    jensen_shannon_null,
    wasserstein_null,
)

Floats = npt.NDArray[np.float64]
Kind = Literal["numeric", "category"]

MAX_GRID_POINTS = 256
MAX_BLOCKS = 64
MIN_BLOCKS = 16
MIN_BLOCK_ROWS = 10


@dataclass(frozen=True)
class DesignEffect:
    """Squared distance as a multiple of that of independent rows, estimated from `blocks` blocks."""

    factor: float
    blocks: int
    degrees_of_freedom: float


@dataclass(frozen=True)
class Baseline:
    """One column of the reference, in time order, as codes into a grid; `widths` is empty for a category."""

    kind: Kind
    codes: npt.NDArray[np.int64]
    cells: int
    widths: Floats
    independent: NullDistribution

    @property
    def rows(self) -> int:
        """Reference rows with a value."""
        return int(self.codes.size)

    def null_distribution(self, size: float) -> NullDistribution:
        """The null distribution for independent rows at m = `size`."""
        if self.kind == "numeric":
            return self.independent
        return jensen_shannon_null(np.bincount(self.codes, minlength=self.cells), size)

    def design_effect(self, block_rows: float) -> DesignEffect:
        """Compare blocks of `block_rows` rows (shorter if the reference is too short) with the rest of the reference.

        >>> rng = np.random.default_rng(7)
        >>> independent = rng.normal(size=5_000)
        >>> correlated = np.convolve(rng.normal(size=5_009), np.ones(10) / 10**0.5, mode="valid")
        >>> round(numeric_baseline(independent).design_effect(250).factor, 1)
        1.1
        >>> round(numeric_baseline(correlated).design_effect(250).factor, 1)  # moving sums of ten rows: at most ten
        8.4
        """
        length = int(max(MIN_BLOCK_ROWS, min(block_rows, self.rows / MIN_BLOCKS)))
        blocks = min(MAX_BLOCKS, self.rows // length)
        size = 1 / length + 1 / max(1, self.rows - length)
        null = self.null_distribution(size)
        if blocks < 4 or null.mean == 0:
            return DesignEffect(1.0, max(blocks, 4), null.degrees_of_freedom)
        # The latest blocks: if not all fit, the most recent time counts.
        codes = self.codes[self.rows - blocks * length :].reshape(blocks, length)
        offsets = np.arange(blocks)[:, None] * self.cells
        counts = np.bincount((codes + offsets).ravel(), minlength=blocks * self.cells).reshape(
            blocks, self.cells
        )
        total = np.bincount(self.codes, minlength=self.cells)
        rest = (total - counts) / (self.rows - length)
        squared = self._squared(counts / length, rest)
        mean, variance = float(squared.mean()), float(squared.var(ddof=1))
        factor = max(1.0, mean / (null.mean * size))
        if factor > 1 + 2 * math.sqrt(2 / (blocks * null.degrees_of_freedom)):
            # More than two standard errors above 1: the rows are correlated. Then few directions carry most of the distance, and
            # the variance seen in a few blocks is likely too small. Take its upper 90 % confidence limit (chi-square interval of
            # a normal variance), which lowers the degrees of freedom.
            variance *= (blocks - 1) / float(chdtri(blocks - 1, 0.9))
        degrees = null.degrees_of_freedom if variance == 0 else 2 * mean**2 / variance
        return DesignEffect(factor, blocks, float(np.clip(degrees, 1.0, null.degrees_of_freedom)))

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
    if points.size > MAX_GRID_POINTS:
        points = np.unique(np.quantile(values, np.linspace(0, 1, MAX_GRID_POINTS), method="higher"))
    codes = np.searchsorted(points, values, side="left").astype(np.int64)
    spread = float(values.std()) if values.size else 0.0
    widths = np.diff(points) / spread if spread > 0 else np.zeros(max(0, points.size - 1))
    counts = np.bincount(codes, minlength=points.size)
    below = np.cumsum(counts)[:-1] / max(1, values.size)
    return Baseline("numeric", codes, max(1, points.size), widths, wasserstein_null(below, widths))


def category_baseline(values: npt.NDArray[np.object_]) -> Baseline:
    """Baseline of the categories `values` (strings without missing ones), in time order."""
    levels, codes = np.unique(values.astype(str), return_inverse=True)
    return Baseline("category", codes.astype(np.int64), max(1, levels.size), np.empty(0), NO_VARIATION)


@dataclass(frozen=True)
class Sizes:
    """Rows that a distance is computed from.

    `expected`: rows of the reference in a time as long as the window. Serial correlation depends on time, so a window with more
    traffic has more rows but not more independent ones.
    """

    window: int
    window_sampled: int
    reference: int
    reference_sampled: int
    expected: float


def distance_threshold(baseline: Baseline, sizes: Sizes, alpha: float) -> float:
    """The distance that is exceeded with probability `alpha` when nothing has changed.

    threshold² = mean · (m + (D - 1) (1/expected + 1/reference)) · F, with m of the sampled rows, D the design effect and F the
    upper `alpha` quantile of the F distribution.

    >>> baseline = numeric_baseline(np.random.default_rng(7).normal(size=10_000))
    >>> sizes = Sizes(window=1_000, window_sampled=1_000, reference=10_000, reference_sampled=10_000, expected=1_000)
    >>> [round(distance_threshold(baseline, sizes, alpha), 3) for alpha in (0.05, 0.001)]
    [0.113, 0.217]
    """
    if min(sizes.window_sampled, sizes.reference_sampled, baseline.rows) == 0:
        return 0.0
    effect = baseline.design_effect(sizes.expected)
    serial = (effect.factor - 1) * (1 / max(1.0, sizes.expected) + 1 / sizes.reference)
    size = 1 / sizes.window_sampled + 1 / sizes.reference_sampled
    tail = float(fdtri(effect.degrees_of_freedom, effect.degrees_of_freedom * (effect.blocks - 1), 1 - alpha))
    return float(np.sqrt(baseline.null_distribution(size).mean * (size + serial) * tail))


def _relative_entropy(shares: Floats, middle: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(shares > 0, shares * np.log(shares / middle), 0.0)
    result: Floats = terms.sum(axis=1)
    return result
