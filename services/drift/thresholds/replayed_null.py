"""The null distribution of any score of drift, by replay: how large the score is between one part of the reference and
another.

For methods without a closed form. Windows are drawn from the newest third of the reference as moving blocks, which keep the
serial correlation of rows close in time (Künsch 1989; Liu and Singh 1992), and compared with the older rows by the very
same method. The scores are those of a calm world with a smaller reference than the real one, so the threshold is, if
anything, too high.

Far more windows pass in 30 days than can be replayed, so the tail beyond them is that of a gamma distribution with the mean
and variance of the replayed scores, the variance at its upper 90 % confidence limit (chi-square interval); and never below
the largest score seen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import chdtri, gammainccinv

Values = npt.NDArray[np.float64] | npt.NDArray[np.object_]
Compare = Callable[[Values, Values], float | None]

REPLAYS = 100
# Below this many rows on either side nothing can be replayed.
MIN_ROWS = 50
NEWEST_SHARE = 1 / 3


@dataclass(frozen=True)
class ReplayedNull:
    """Scores without drift. `mean` and `variance` of all, `largest` of them."""

    mean: float
    variance: float
    largest: float

    def threshold(self, alpha: float) -> float:
        """The score that is exceeded with probability `alpha` when nothing has changed.

        >>> null = ReplayedNull(mean=2.0, variance=2.0, largest=6.0)  # a gamma distribution of shape 2
        >>> round(null.threshold(0.001), 2)
        9.23
        """
        if self.mean <= 0 or self.variance <= 0:
            return self.largest
        scale = self.variance / self.mean
        return max(self.largest, scale * float(gammainccinv(self.mean / scale, alpha)))


def replay_null(
    values: Values, window_rows: int, block_rows: float, compare: Compare, seed: int
) -> ReplayedNull | None:
    """Replay windows of `window_rows` rows from `values` (the reference's present values, in time order).

    `block_rows`: length of the blocks, as long as rows are correlated; at least 1. None where the reference is too short, or the
    method gives no number.

    >>> rng = np.random.default_rng(3)
    >>> null = replay_null(rng.normal(size=6000), 500, 1, lambda window, rest: abs(window.mean() - rest.mean()), seed=1)
    >>> round(null.mean, 3), round((2 / np.pi * (1 / 500 + 1 / 4000)) ** 0.5, 3)  # E|N(0, 1/500 + 1/4000)|
    (0.041, 0.038)
    """
    cut = values.size - int(values.size * NEWEST_SHARE)
    older, newest = values[:cut], values[cut:]
    if min(older.size, newest.size) < MIN_ROWS or window_rows < 2:
        return None
    random = np.random.default_rng(seed)
    length = int(np.clip(round(block_rows), 1, max(1, min(newest.size // 4, window_rows))))
    scores = [
        compare(newest[_moving_blocks(random, newest.size, window_rows, length)], older)
        for _ in range(REPLAYS)
    ]
    return _summary([score for score in scores if score is not None and math.isfinite(score)])


def _moving_blocks(random: np.random.Generator, rows: int, wanted: int, length: int) -> npt.NDArray[np.int64]:
    starts = random.integers(0, rows - length + 1, math.ceil(wanted / length))
    found: npt.NDArray[np.int64] = (starts[:, None] + np.arange(length)).ravel()[:wanted]
    return found


def _summary(scores: Sequence[float]) -> ReplayedNull | None:
    if len(scores) < REPLAYS // 2:
        return None
    variance = float(np.var(scores, ddof=1)) * (len(scores) - 1) / float(chdtri(len(scores) - 1, 0.9))
    return ReplayedNull(float(np.mean(scores)), variance, max(scores))
