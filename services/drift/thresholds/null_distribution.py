"""The null distribution of a drift distance: its values without drift, in closed form, for independent rows.

Let m = 1/n + 1/R for n window rows and R reference rows. Without drift the squared distance has a mean of about `mean * m`, and
its distribution is approximated by a scaled chi-square with `degrees_of_freedom` (two-moment matching: Satterthwaite 1946).

- Jensen-Shannon distance (natural log; Lin 1991) of k categories: mean (k-1)/8, degrees of freedom k-1, if each category is
  expected often (chi-square limit: Grosse et al. 2002).
- Wasserstein-1 distance in standard deviations of the reference: the integral of |B(F(x))| with B a Brownian bridge (del Barrio,
  Giné, Matrán 1999). Its mean and variance are sums over a grid: |B| at two points is a folded bivariate normal (Nabeya 1951).

docs/statistics.md derives both and lists the sources.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class NullDistribution:
    """Squared distance without drift: its mean per unit of m, and its degrees of freedom."""

    mean: float
    degrees_of_freedom: float


NO_VARIATION = NullDistribution(0.0, 1.0)


def jensen_shannon_null(counts: npt.NDArray[np.int64], size: float) -> NullDistribution:
    """Null distribution of the Jensen-Shannon distance at m = `size`, from the reference's count of each category.

    Two corrections for many categories: a category expected less than a few times adds less than 1/8 (see `_sparse_share`), and
    the window may hold categories that the reference lacks. Their mass is about that of the categories seen once (Good 1953).

    >>> null = jensen_shannon_null(np.array([3000, 3000, 4000]), size=1 / 1000 + 1 / 10000)
    >>> round(null.mean, 3), round(null.degrees_of_freedom, 2)  # textbook: (k-1)/8 = 0.25 and k-1 = 2
    (0.252, 2.01)
    >>> rng = np.random.default_rng(7)
    >>> reference = rng.multinomial(10_000, [0.3, 0.3, 0.4]) / 10_000
    >>> window = rng.multinomial(1_000, [0.3, 0.3, 0.4], size=2_000) / 1_000
    >>> middle = (window + reference) / 2
    >>> squared = (window * np.log(window / middle) + reference * np.log(reference / middle)).sum(axis=1) / 2
    >>> bool(abs(squared.mean() / (null.mean * (1 / 1000 + 1 / 10000)) - 1) < 0.15)
    True
    """
    seen = counts[counts > 0]
    if seen.size < 2 or size <= 0:
        return NO_VARIATION
    total = float(seen.sum())
    shares = _sparse_share(seen / total / size)
    categories = max(1.0, float(shares.sum()) * (seen.size - 1) / seen.size)
    unseen = float(np.count_nonzero(seen == 1)) / total
    return NullDistribution(
        mean=categories / 8 + unseen * math.log(2) / 2 / size, degrees_of_freedom=categories
    )


@cache
def _sparse_table() -> tuple[Floats, Floats]:
    """Mean contribution of a category to the squared distance, in eighths of m, by its expected count (Poisson)."""
    expected = np.geomspace(1e-3, 60, 100)
    count = np.arange(200.0)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        own = np.where(count > 0, count * np.log(2 * count / (count + expected)), 0.0)
    poisson = np.exp(count * np.log(expected) - expected - np.vectorize(math.lgamma)(count + 1))
    return expected, 4 * (poisson * (own + expected * np.log(2 * expected / (count + expected)))).sum(axis=0)


def _sparse_share(expected: Floats) -> Floats:
    points, shares = _sparse_table()
    result: Floats = np.interp(expected, points, shares)
    return result


def wasserstein_null(below: Floats, widths: Floats) -> NullDistribution:
    """Null distribution of the Wasserstein distance, from the reference's distribution function.

    `below[i]` is the share of the reference at or below grid point i, `widths[i]` the step to the next point in standard
    deviations of the reference.

    >>> points = np.sort(np.random.default_rng(7).normal(size=2_000))[::20]
    >>> null = wasserstein_null(np.arange(1, 100) / 100, np.diff(points))
    >>> round(null.mean, 2), round(null.degrees_of_freedom, 2)
    (1.76, 4.14)
    >>> rng, squared = np.random.default_rng(8), []
    >>> for _ in range(500):  # two samples of 400 rows: m = 1/200; W1 of sorted samples of equal size is the mean difference
    ...     squared.append(np.abs(np.sort(rng.normal(size=400)) - np.sort(rng.normal(size=400))).mean() ** 2)
    >>> bool(abs(np.mean(squared) * 200 / null.mean - 1) < 0.15)
    True
    """
    inside = (below > 0) & (below < 1) & (widths > 0)
    share, step = below[inside], widths[inside]
    if share.size == 0:
        return NO_VARIATION
    spread = np.sqrt(share * (1 - share))
    mean = math.sqrt(2 / math.pi) * float(step @ spread)
    low, high = np.minimum.outer(share, share), np.maximum.outer(share, share)
    correlation = np.clip(np.sqrt(low * (1 - high) / (high * (1 - low))), 0.0, 1.0)
    folded = np.sqrt(1 - correlation**2) + correlation * np.arcsin(correlation) - 1
    variance = 2 / math.pi * float((step * spread) @ folded @ (step * spread))
    square = mean**2 + variance
    return NullDistribution(
        mean=square, degrees_of_freedom=degrees_of_freedom_from_ratio(mean / math.sqrt(square))
    )


def degrees_of_freedom_from_ratio(ratio: float) -> float:
    """Degrees of freedom at which a chi variable has mean / root mean square equal to `ratio` (0 to 1), by bisection.

    The mean of a chi variable: Johnson, Kotz, Balakrishnan 1994, chapter 18.

    >>> round(degrees_of_freedom_from_ratio(math.sqrt(2 / math.pi)), 6)  # |N(0, 1)|: one degree of freedom
    1.0
    >>> round(degrees_of_freedom_from_ratio(math.sqrt(math.pi) / 2), 3)  # Rayleigh: two
    2.0
    """
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


def _root_ratio(degrees: float) -> float:
    return math.sqrt(2 / degrees) * math.exp(math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2))
