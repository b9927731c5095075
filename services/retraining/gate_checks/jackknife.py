"""A confidence bound of any statistic of sums over blocks of time. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Sums = npt.NDArray[np.float64]


def jackknife_lower(sums: Sums, statistic: Callable[[Sums], float], confidence: float) -> float:
    """The lower end of the one-sided interval of `statistic` of the sum over the blocks. `sums`: [blocks, …].

    With B blocks and t_b the statistic without block b, the error is sqrt((B - 1) / B * sum((t_b - mean(t)) ** 2)), and the
    bound t - t(confidence, B - 1) * error: the jackknife (Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter
    11) over blocks, because neighbouring rows are correlated (Künsch, Annals of Statistics 17 (1989)). -inf of one block.

    Of a mean over blocks of one size it is the textbook interval:

    >>> from scipy.stats import t
    >>> values = np.array([0.01, 0.03, 0.02, 0.05, 0.04])
    >>> blockwise = np.stack([values, np.ones(5)], axis=1)
    >>> lower = jackknife_lower(blockwise, lambda total: float(total[0] / total[1]), 0.9)
    >>> bool(np.isclose(lower, values.mean() - t.ppf(0.9, 4) * values.std(ddof=1) / np.sqrt(5)))
    True
    """
    blocks = len(sums)
    if blocks < 2:
        return -math.inf
    total = sums.sum(axis=0)
    from scipy.special import stdtrit  # the import takes a tenth of the service's start

    without = np.array([statistic(total - one) for one in sums])
    error = math.sqrt((blocks - 1) / blocks * float(np.square(without - without.mean()).sum()))
    return statistic(total) - float(stdtrit(blocks - 1, confidence)) * error


def block_sums(values: Sums, number: npt.NDArray[np.int64]) -> Sums:
    """Rows of `values`, [N, …], summed by their block numbers, from 0 without gaps.

    >>> block_sums(np.array([1.0, 2.0, 4.0]), np.array([0, 0, 1]))
    array([3., 4.])
    """
    sums = np.zeros((int(number[-1]) + 1, *values.shape[1:]))
    np.add.at(sums, number, values)
    return sums
