"""Many small shifts at once: a CUSUM of all numeric columns together.

The scores' means are correlated; along the eigenvectors of their correlation matrix they are not (principal components: Jolliffe
2002). Under the alternative each component's mean is normal with standard deviation `SHIFT`; averaged over it, the likelihood
ratio of n rows is that of a normal variance (Gelman et al. 2013, section 2.5), with V = D (1/n + 1/R) the variance of a mean
score:

    sum over components of  z²/2 · t/(V + t) - ln(1 + t/V)/2,   z² = mean²/V,   t = SHIFT²

Rows count since the CUSUM was last zero (Page 1954).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.drift.stream.statistics.scores import Floats

SHIFT = 0.1
# Directions in which the reference hardly varies would only show rounding.
MINIMUM_EIGENVALUE = 0.02


@dataclass(eq=False)
class SumState:
    """Since the last zero: sums of the components, (..., components), rows, (...,), and the start of the first tile (µs)."""

    sums: Floats
    rows: Floats
    start: npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class SumCusum:
    """`directions`: (components, scores) with unit variance; `variance`: long-run variance; `rows`: of the reference."""

    directions: Floats
    variance: Floats
    rows: float

    def begin(self, streams: tuple[int, ...] = ()) -> SumState:
        """No evidence."""
        shape = (*streams, self.directions.shape[0])
        return SumState(np.zeros(shape), np.zeros(streams), np.zeros(streams, np.int64))

    def step(self, state: SumState, sums: Floats, rows: Floats, start: int) -> Floats:
        """Add sums of location scores, (..., scores), of `rows` rows, (...,): evidence in nats, (...,); changes `state`."""
        state.start[state.rows == 0] = start
        state.sums += sums @ self.directions.T
        state.rows += rows
        evidence = self.evidence(state.sums, state.rows)
        over = evidence <= 0
        state.sums[over] = 0.0
        state.rows[over] = 0.0
        return np.where(over, 0.0, evidence)

    def evidence(self, sums: Floats, rows: Floats) -> Floats:
        """Logarithm of the averaged likelihood ratio."""
        many = np.maximum(1.0, rows)[..., None]
        size = self.variance * (1 / many + 1 / max(1.0, self.rows))
        square = (sums / many) ** 2 / size
        prior = SHIFT**2
        terms = square / 2 * prior / (size + prior) - np.log1p(prior / size) / 2
        result: Floats = terms.sum(axis=-1)
        return result


def sum_cusum(correlation: Floats, variance: Floats, rows: float) -> SumCusum:
    """From the scores' correlation matrix and long-run variances, (scores,), both of the reference's `rows` rows."""
    if correlation.size == 0:
        return SumCusum(np.zeros((0, correlation.shape[0])), np.zeros(0), rows)
    values, vectors = np.linalg.eigh(correlation)
    keep = values > MINIMUM_EIGENVALUE
    directions = (vectors[:, keep] / np.sqrt(values[keep])).T
    # Long-run variance of a component: that of the columns it is made of, by their weight in it.
    weights = vectors[:, keep] ** 2
    return SumCusum(directions, np.maximum(1.0, weights.T @ variance), rows)
