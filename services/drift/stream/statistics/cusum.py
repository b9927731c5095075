"""CUSUMs of the location and spread of numeric columns, two-sided, tuned for small, medium and large shifts.

A shift of a score's mean by d is the exponential tilt of the reference (Barndorff-Nielsen 1978): its log-likelihood ratio for n
rows with the sum X of scores is d X - n ln E[exp(d score)]. The CUSUM (Page 1954) sums it, starts again at zero whenever it is
negative, and alarms at the threshold h; the mean time between false alarms of independent rows is at least exp(h) (Lorden 1971).

Two corrections keep that for a finite reference and correlated rows:
- The reference's mean score has an error of its own. The likelihoods are averaged over it: with R reference rows, the ratio of
  the n rows since the CUSUM was last zero is divided by 1 + n/R (normal mean with a normal prior: Gelman et al. 2013,
  section 2.5).
- The sum of n correlated rows has the variance D n, with D the long-run variance. The ratio is divided by D. As D
  is an estimate with `degrees` degrees of freedom, normal likelihoods become those of Student's t (ibid., section 3.2).

Evidence is in nats. A cumulated evidence of 10 means that the shift explains the rows e^10 times better than the reference.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from services.drift.stream.statistics.scores import Floats, Scores, log_moments

# Shifts that the CUSUMs are tuned for, in standard deviations of a score.
TUNINGS = np.array([0.1, 0.3, 1.0])
SIDES = np.array([1.0, -1.0])


@dataclass(frozen=True, eq=False)
class Dependence:
    """Long-run variance of each score, (columns, 2), relative to independent rows, and the degrees of freedom of it."""

    variance: Floats
    degrees: Floats


@dataclass(eq=False)
class CusumState:
    """Since each CUSUM was last zero: sum of scores and rows, (..., columns, 2, tunings, sides), and the tile's start (µs)."""

    sums: Floats
    rows: Floats
    start: npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Cusums:
    """The CUSUMs of all numeric columns; leading axes are independent streams. `rows`: (columns,) of the reference, effective."""

    scores: Scores
    dependence: Dependence
    rows: Floats

    def begin(self, streams: tuple[int, ...] = ()) -> CusumState:
        """All CUSUMs at zero."""
        shape = (*streams, self.scores.columns.size, 2, TUNINGS.size, SIDES.size)
        return CusumState(np.zeros(shape), np.zeros(shape), np.zeros(shape, np.int64))

    def step(self, state: CusumState, sums: Floats, rows: Floats, start: int) -> Floats:
        """Add a tile: evidence in nats, (..., columns, 2, tunings, sides); changes `state`."""
        np.copyto(state.start, start, where=state.rows == 0)
        state.sums += sums[..., None, None]
        state.rows += rows[..., None, None, None]
        evidence = self._evidence(state)
        going = (evidence > 0) & self.scores.usable[..., None, None]
        state.sums *= going
        state.rows *= going
        result: Floats = evidence * going
        return result

    def _evidence(self, state: CusumState) -> Floats:
        tilt = TUNINGS[:, None] * SIDES
        gain: Floats = tilt * state.sums - state.rows * self._penalty
        variance = self.dependence.variance[..., None, None]
        dilution = 1 + state.rows / np.maximum(1.0, self.rows)[:, None, None, None]
        gain = gain / (variance * dilution)
        degrees = self.dependence.degrees[..., None, None]
        if np.isinf(degrees).all():
            return gain
        square = state.sums**2 / np.maximum(1.0, state.rows * variance * dilution)
        with np.errstate(invalid="ignore"):
            student = (
                (degrees + 1)
                / 2
                * (np.log1p(square / degrees) - np.log1p(np.maximum(0.0, square - 2 * gain) / degrees))
            )
        result: Floats = np.where(np.isinf(degrees), gain, student)
        return result

    @cached_property
    def _penalty(self) -> Floats:
        tilt = (TUNINGS[:, None] * SIDES).ravel()
        return log_moments(self.scores, tilt).reshape(-1, 2, TUNINGS.size, SIDES.size)

    def reset(self, state: CusumState, columns: npt.NDArray[np.bool_]) -> None:
        """Set the CUSUMs of these columns, (..., columns), to zero."""
        state.sums[columns] = 0.0
        state.rows[columns] = 0.0


def independent(scores: Scores) -> Dependence:
    """No serial correlation."""
    shape = scores.usable.shape
    return Dependence(np.ones(shape), np.full(shape, np.inf))
