"""How large a count may be by chance: upper quantiles of the binomial and the Poisson distribution. Pure.

As `isf` of `scipy.stats`, whose import takes the service half a second of CPU time and 45 MB; `scipy.special` has the tails.
"""

from __future__ import annotations

from collections.abc import Callable

from scipy.special import bdtrc, pdtrc


def binomial_limit(rows: int, share: float, alpha: float) -> int:
    """The smallest count of `rows` that is exceeded with probability `alpha` at most, if each row counts with chance `share`.

    >>> binomial_limit(1_000, 0.05, 1e-4)
    77
    """
    return _smallest(lambda count: float(bdtrc(count, rows, share)), rows, alpha)


def poisson_limit(expected: float, alpha: float) -> int:
    """The same of a count with this expectation and without a bound.

    >>> poisson_limit(2.0, 0.001)
    8
    """
    highest = 1
    while pdtrc(highest, expected) > alpha:
        highest *= 2
    return _smallest(lambda count: float(pdtrc(count, expected)), highest, alpha)


def _smallest(tail: Callable[[int], float], highest: int, alpha: float) -> int:
    """By bisection: the smallest count from 0 to `highest` whose tail, P(more), is `alpha` at most. The tail of `highest` is."""
    lowest = 0
    while lowest < highest:
        middle = (lowest + highest) // 2
        if tail(middle) <= alpha:
            highest = middle
        else:
            lowest = middle + 1
    return lowest
