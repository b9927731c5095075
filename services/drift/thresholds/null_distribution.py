"""How large a distance chance alone makes, in closed form, for independent rows.

Let m = 1/n + 1/R for n window rows and R reference rows. Without drift the square of a distance is about
`mean * m` on average, and is spread like a chi-square with `freedom` degrees of freedom.

- Jensen-Shannon distance (natural log) of k categories: mean (k-1)/8, freedom k-1, as long as each is expected often.
- Wasserstein distance over the reference's standard deviation: the integral of |B(F(x))|, B a Brownian bridge. Its mean and
  variance are sums over a grid, since |B| at two points is a folded bivariate normal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Chance:
    """Moments of a squared distance without drift: its mean per unit of m, and its degrees of freedom."""

    mean: float
    freedom: float


NO_CHANCE = Chance(0.0, 1.0)


def jensenshannon_chance(counts: npt.NDArray[np.int64], size: float) -> Chance:
    """Chance of the Jensen-Shannon distance at m = `size`, from the reference's count of each category.

    Two things matter with many categories: a category expected less than a few times adds less than 1/8 (see `_sparse_share`),
    and categories the reference missed altogether turn up in the window: their mass is about that of the ones it saw once.
    """
    seen = counts[counts > 0]
    if seen.size < 2 or size <= 0:
        return NO_CHANCE
    total = float(seen.sum())
    shares = _sparse_share(seen / total / size)
    categories = max(1.0, float(shares.sum()) * (seen.size - 1) / seen.size)
    unseen = float(np.count_nonzero(seen == 1)) / total
    return Chance(mean=categories / 8 + unseen * math.log(2) / 2 / size, freedom=categories)


@cache
def _sparse_table() -> tuple[Floats, Floats]:
    """The mean contribution of a category to the squared distance, in eighths of m, by its expected count (Poisson)."""
    expected = np.geomspace(1e-3, 60, 100)
    count = np.arange(200.0)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        own = np.where(count > 0, count * np.log(2 * count / (count + expected)), 0.0)
    chance = np.exp(count * np.log(expected) - expected - np.vectorize(math.lgamma)(count + 1))
    return expected, 4 * (chance * (own + expected * np.log(2 * expected / (count + expected)))).sum(axis=0)


def _sparse_share(expected: Floats) -> Floats:
    points, shares = _sparse_table()
    result: Floats = np.interp(expected, points, shares)
    return result


def wasserstein_chance(below: Floats, widths: Floats) -> Chance:
    """Chance of the Wasserstein distance from the reference's distribution function.

    `below[i]` is the share of the reference at or below grid point i, `widths[i]` the step to the next point in standard
    deviations of the reference.
    """
    inside = (below > 0) & (below < 1) & (widths > 0)
    share, step = below[inside], widths[inside]
    if share.size == 0:
        return NO_CHANCE
    spread = np.sqrt(share * (1 - share))
    mean = math.sqrt(2 / math.pi) * float(step @ spread)
    low, high = np.minimum.outer(share, share), np.maximum.outer(share, share)
    correlation = np.clip(np.sqrt(low * (1 - high) / (high * (1 - low))), 0.0, 1.0)
    folded = np.sqrt(1 - correlation**2) + correlation * np.arcsin(correlation) - 1
    variance = 2 / math.pi * float((step * spread) @ folded @ (step * spread))
    square = mean**2 + variance
    return Chance(mean=square, freedom=freedom_of_root(mean / math.sqrt(square)))


def freedom_of_root(ratio: float) -> float:
    """Degrees of freedom at which a chi has mean / root mean square equal to `ratio` (in 0..1)."""
    low, high = 1.0, 1e6
    if ratio <= _root_ratio(low):
        return low
    if ratio >= _root_ratio(high):
        return high
    for _ in range(60):
        middle = math.sqrt(low * high)
        if _root_ratio(middle) < ratio:
            low = middle
        else:
            high = middle
    return math.sqrt(low * high)


def _root_ratio(freedom: float) -> float:
    return math.sqrt(2 / freedom) * math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2))
