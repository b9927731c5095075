"""A rise of the mean of bounded losses, as outcomes arrive: the e-detector of Shin, Ramdas and Rinaldo (2024).

For losses in [0, 1] whose expectation, given the past, is at most m, each factor 1 + b (loss - m) with 0 <= b < 1/m has an
expectation of at most 1. The Shiryaev-Roberts recursion M <- (M + 1) (1 + b (loss - m)) adds up the products from every possible
start, so an alarm at M >= A has a mean time between false alarms of at least A rows, whatever the distribution and however the
losses depend on each other. A weighted mean over several b keeps that. For errors (0 or 1), b = (r - 1)/(1 - m) makes the factor
the likelihood ratio of an error rate of r m against m.

m is the upper confidence limit of the reference's mean loss (Clopper, Pearson 1934), as the true one is not known. Losses close
in time are correlated, so that a mean that was estimated from few of them is exceeded for a while without a change: each factor
is raised to 1/D, with D the long-run variance of the mean over that of independent losses, as in the other detectors. By Jensen's
inequality the power of a factor has an expectation of at most 1, too.

The sum stops at its threshold, so what an error would add beyond A is never used. Where losses are errors, the other branch gets
it: if the next error would cross A, no error multiplies the sum by a factor above the bet's, with which the expectation, of the
sum cut off at A, is what it was before: the sequential boosting of likelihood ratios (L. Fischer, A. Ramdas, Improving Wald's
(approximate) sequential probability ratio test by avoiding overshoot, arXiv 2410.16076, 2024), here for the Shiryaev-Roberts sum,
whose expectation grows by 1 a row. It grows with the probability of an error, so m is the worst case here, too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv

from services.drift.stream.statistics.scores import Floats

# Ratios of the loss to m that the bets are tuned for, and their weights.
RATIOS = np.array([1.03, 1.1, 1.2, 1.5, 2.0, 4.0])
WEIGHTS = np.array([0.05, 0.05, 0.1, 0.15, 0.62, 0.03])
CONFIDENCE = 0.95
# Rows whose products are taken at once: none of them overflows.
BLOCK = 64


@dataclass(frozen=True)
class ErrorAlarm:
    """Raised by row number `row`; `onset`: number of the first row of the change, estimated. Rows count from 0. `evidence` and
    `threshold` in nats."""

    row: int
    onset: int
    evidence: float
    threshold: float


@dataclass(eq=False)
class ErrorDetector:
    """Takes losses in [0, 1] in order. `null`: m; `rows_between_alarms`: A; `dependence`: D, at least 1.
    `errors`: losses are 0 or 1.

    >>> losses = np.random.default_rng(7).random(3_000) < np.repeat([0.1, 0.2], [2_000, 1_000])
    >>> alarm = ErrorDetector(null=0.1, rows_between_alarms=1e6).add(losses.astype(float))
    >>> alarm.row, alarm.onset
    (2209, 2023)
    """

    null: float
    rows_between_alarms: float
    dependence: float = 1.0
    errors: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.null < 1:
            raise ValueError(f"null is {self.null}, expected a mean loss between 0 and 1")
        # A bet of 1/m or more could make a factor negative.
        self._bets = np.minimum((RATIOS - 1) / (1 - self.null), 0.99 / self.null)
        self._sums = np.zeros(RATIOS.size)
        self._cusums = np.zeros(RATIOS.size)
        self._starts = np.zeros(RATIOS.size, np.int64)
        self._rows = 0
        # D stands for what is not known of the past's influence; what the threshold cuts off is left as a reserve then.
        self._redistributes = self.errors and self.dependence == 1
        self._factors = 1 + self._bets * (np.array([[0.0], [1.0]]) - self.null)

    def add(self, losses: Floats) -> ErrorAlarm | None:
        """The first alarm of these losses, after which the detector starts anew and the rest is not counted; None without."""
        if losses.size and not (losses.min() >= 0 and losses.max() <= 1):
            raise ValueError("losses are not all between 0 and 1")
        if self.errors and not np.isin(losses, (0.0, 1.0)).all():
            raise ValueError("losses are not all 0 or 1")
        for first in range(0, losses.size, BLOCK):
            alarm = self._block(losses[first : first + BLOCK])
            if alarm is not None:
                return alarm
        return None

    @property
    def threshold(self) -> float:
        """Logarithm of A."""
        return float(np.log(self.rows_between_alarms))

    @property
    def evidence(self) -> float:
        """Logarithm of the weighted sum, relative to the threshold; 0 without any."""
        total = float(self._sums @ WEIGHTS)
        return max(0.0, float(np.log(total))) / self.threshold if total > 0 else 0.0

    @property
    def rows(self) -> int:
        """Losses taken so far."""
        return self._rows

    @property
    def starts(self) -> npt.NDArray[np.int64]:
        """Number of the first row of the change, estimated, for each bet."""
        return self._starts

    def state(self) -> dict[str, npt.NDArray[np.float64] | npt.NDArray[np.int64]]:
        """Everything that `restore` needs."""
        return {
            "sums": self._sums.copy(),
            "cusums": self._cusums.copy(),
            "starts": self._starts.copy(),
            "rows": np.array([self._rows]),
        }

    def restore(self, state: dict[str, npt.NDArray[np.float64] | npt.NDArray[np.int64]]) -> None:
        """Continue where `state` was taken."""
        self._sums, self._cusums = state["sums"].astype(np.float64), state["cusums"].astype(np.float64)
        self._starts, self._rows = state["starts"].astype(np.int64), int(state["rows"][0])

    def _block(self, losses: Floats) -> ErrorAlarm | None:
        factors = (1 + self._bets * (losses[:, None] - self.null)) ** (1 / self.dependence)
        products = np.cumprod(factors, axis=0)
        # M_n = P_n (M_0 + 1/P_0 + ... + 1/P_(n-1)), with P_0 = 1.
        starts = np.cumsum(np.vstack([np.ones(RATIOS.size), 1 / products[:-1]]), axis=0)
        sums = products * (self._sums + starts)
        total = sums @ WEIGHTS
        highest = max(float(total.max()), float(self._sums @ WEIGHTS))  # after a row, or before the first one
        if self._redistributes and (highest + 1) * self._factors.max() >= self.rows_between_alarms:
            sums = self._redistributed(losses)
            total = sums @ WEIGHTS
        above = np.flatnonzero(total >= self.rows_between_alarms)
        end = int(above[0]) + 1 if above.size else losses.size
        self._follow_cusums(np.log(factors[:end]))
        self._rows += end
        if not above.size:
            self._sums = sums[-1]
            return None
        best = int((self._cusums + np.log(WEIGHTS)).argmax())
        alarm = ErrorAlarm(
            self._rows - 1, int(self._starts[best]), float(np.log(total[end - 1])), self.threshold
        )
        self._sums = np.zeros(RATIOS.size)
        self._cusums = np.zeros(RATIOS.size)
        self._starts[:] = self._rows
        return alarm

    def _redistributed(self, losses: Floats) -> Floats:
        """The sums after each row, (rows, bets), with what an error would add beyond A given to the rows without one."""
        result, sums = np.empty((losses.size, RATIOS.size)), self._sums
        for place, loss in enumerate(losses):
            started = sums + 1
            right, wrong = self._factors * started
            reached = self.rows_between_alarms
            if loss:
                sums = wrong
            elif float(wrong @ WEIGHTS) > reached:
                left = float(started @ WEIGHTS) - self.null * reached
                sums = right * max(1.0, left / ((1 - self.null) * float(right @ WEIGHTS)))
            else:
                sums = right
            result[place] = sums
        return result

    def _follow_cusums(self, logs: Floats) -> None:
        """The CUSUM of each bet, for the onset: the row after its last zero (Page 1954)."""
        sums = self._cusums + np.vstack([np.zeros(RATIOS.size), np.cumsum(logs, axis=0)])
        # The walk since its lowest point, which is zero at the latest before the block.
        lowest = np.minimum(np.minimum.accumulate(sums, axis=0), 0.0)
        touched = (sums <= lowest) & (np.arange(sums.shape[0]) > 0)[:, None]
        for bet in range(RATIOS.size):
            places = np.flatnonzero(touched[:, bet])
            if places.size:
                self._starts[bet] = self._rows + int(places[-1])
        self._cusums = sums[-1] - lowest[-1]


def null_of(reference: Floats) -> float:
    """Upper 95 % confidence limit of the mean of losses in [0, 1], as if they were errors, which vary most.

    >>> round(null_of((np.arange(10_000) < 1_000).astype(float)), 4)
    0.1051
    """
    total = float(reference.sum())
    return float(min(1 - 1e-9, betaincinv(total + 1, max(1e-9, reference.size - total), CONFIDENCE)))
