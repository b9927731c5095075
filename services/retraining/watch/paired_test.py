"""A test of paired losses that is valid however often one looks: is the released version worse than the one before? Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# Of all releases of a version as good as the one before, at most this share is judged worse.
ERROR = 0.05
# Stakes of the bets. Small ones find small differences after many blocks, the large one finds large differences in few.
STAKES = np.array([0.1, 0.2, 0.4, 0.9])
# Differences beyond this multiple of the median difference count as much as it: of a normal distribution, 1.35 standard
# deviations, Huber's constant (Robust estimation of a location parameter, Annals of Mathematical Statistics 35 (1964)).
CLIP = 2.0


@dataclass(frozen=True)
class Evidence:
    """The highest value of the e-process over `blocks` blocks: the evidence that the new version is worse."""

    value: float
    blocks: int

    @property
    def is_worse(self) -> bool:
        """Whether the new version is shown to be worse, with an error of at most `ERROR`."""
        return self.value >= 1 / ERROR


def evidence_of(differences: Sequence[float] | Floats) -> Evidence:
    """Judge the mean differences of loss (new version minus the one before) of consecutive blocks of rows.

    Null hypothesis: whatever happened before, the expected difference of a block is not above 0. Difference D_t is divided by
    twice the median of |D_1|, …, |D_(t-1)| and clipped to x_t in [-1, 1]; x_t is 0 while that median is 0. A gambler who stakes
    the share s of the wealth on each block has, after block t,

        K_t(s) = product of (1 + s x_i) for i = 1 … t,    K_t = mean of K_t(s) over s in STAKES

    The divisor of x_t is known before block t, so under the null hypothesis E[1 + s x_t | past] <= 1: K_t(s) and K_t are
    nonnegative supermartingales that start at 1. By Ville's inequality (Étude critique de la notion de collectif, 1939),

        P(K_t >= 1 / ERROR for some t) <= ERROR

    so that one may look after every block and stop at any. The bets are those of Waudby-Smith and Ramdas, Estimating means of
    bounded random variables by betting, Journal of the Royal Statistical Society B 86 (2024), sections 3 and 4, with a mixture of
    stakes instead of one that is tuned. The highest K_t so far decides: it depends neither on the number of looks nor on their
    times.

    What is assumed:
    - Rows of a block may depend on each other in any way: a block counts once. Blocks may depend on each other, but none may be
      predictably worse. So blocks have to be long against what makes one version worse for a while, such as a storm; at least
      `shortest()` blocks are needed for a decision.
    - Losses without a bound (squared errors, log loss) have no valid test without an assumption on their tails. Here the null
      hypothesis is about the clipped difference: it is that of the mean where differences of blocks are spread evenly about
      their mean. One extreme block counts as one bet. Versions of equal quality are exchangeable, so it holds for them.

    >>> random = np.random.default_rng(1)
    >>> equal = evidence_of(random.normal(0.0, 1.0, 500))
    >>> equal.is_worse, round(equal.value, 2)
    (False, 1.59)
    >>> evidence_of(random.normal(0.5, 1.0, 100)).is_worse
    True

    A share of at most 5 % of equal versions is judged worse, although each is looked at after every block.

    >>> sum(evidence_of(random.standard_t(3, 200)).is_worse for _ in range(1000))
    34
    """
    bets = _bets(np.asarray(differences, dtype=np.float64))
    return Evidence(_highest_wealth(bets), len(bets))


def shortest() -> int:
    """The least number of blocks after which a version can be judged worse: all of one sign and size.

    >>> shortest()
    13
    """
    blocks = 1
    while not evidence_of([1.0] * blocks).is_worse:
        blocks += 1
    return blocks


def _bets(differences: Floats) -> Floats:
    """x_t of each block, in [-1, 1].

    >>> _bets(np.array([0.0, 1.0, 3.0, -9.0, 1.0])).round(3)
    array([ 0.  ,  0.  ,  1.  , -1.  ,  0.25])
    """
    bets = np.zeros(len(differences))
    sizes = np.abs(differences)
    for block in range(1, len(differences)):
        scale = CLIP * float(np.median(sizes[:block]))
        if scale > 0:
            bets[block] = min(1.0, max(-1.0, differences[block] / scale))
    return bets


def _highest_wealth(bets: Floats) -> float:
    """The highest wealth so far of the mixture; at least 1, what it starts with."""
    if len(bets) == 0:
        return 1.0
    logs = np.cumsum(np.log1p(np.outer(bets, STAKES)), axis=0)
    top = logs.max(axis=1)
    wealth = top + np.log(np.exp(logs - top[:, None]).mean(axis=1))
    # Beyond 1e15 nothing is decided differently, and JSON has no infinity.
    return math.exp(min(max(0.0, float(wealth.max())), math.log(1e15)))
