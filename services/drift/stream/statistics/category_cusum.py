"""CUSUMs of the categories of a column, for changes in any direction.

The alternative is learnt from the rows since the CUSUM was last zero: a Dirichlet-multinomial distribution (Mosimann 1962) around
the reference's shares p, with concentration a. It expects a Pearson distance of sqrt((k-1)/(a+1)) for k categories, so a small
concentration is for large changes. The null hypothesis learns too: its concentration is the number of reference rows R, as the
shares are estimates from these rows. For counts n with the sum N since the last zero, the logarithm of the Bayes factor is

    sum_j [lgamma(a p_j + n_j) - lgamma(a p_j)] - [lgamma(a + N) - lgamma(a)]  -  the same with R for a

It is an exact likelihood ratio for any number of categories, however rare (non-anticipating estimation: Robbins, Siegmund 1974;
Lorden, Pollak 2005). For correlated rows it is divided by the long-run variance, as in `cusum.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln

from services.drift.stream.cells.category_cells import CategoryCells
from services.drift.stream.layout import TileLayout
from services.drift.stream.statistics.scores import Floats
from services.drift.stream.tiles import VALUE_CELLS, Counts

# Pearson distances between the shares and those of the reference that the CUSUMs are tuned for.
DISTANCES = np.array([0.1, 0.3, 1.0])


@dataclass(eq=False)
class CategoryState:
    """Counts since each CUSUM was last zero, (..., columns, distances, 64), and the start of its first tile (µs)."""

    counts: Floats
    start: npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Prior:
    """Parameters of a Dirichlet distribution, (..., 64), their sum, and the log-gamma of both."""

    expected: Floats
    log_gamma: Floats
    strength: Floats
    log_gamma_strength: Floats


@dataclass(frozen=True, eq=False)
class CategoryCusums:
    """The CUSUMs of all watched categories.

    `columns`: places in the layout; `shares`: (columns, 64) and `rows`: of the reference; `variance`: long-run variance.
    """

    columns: npt.NDArray[np.int64]
    shares: Floats
    rows: Floats
    variance: Floats

    def begin(self, streams: tuple[int, ...] = ()) -> CategoryState:
        """All CUSUMs at zero."""
        shape = (*streams, self.columns.size, DISTANCES.size)
        return CategoryState(np.zeros((*shape, VALUE_CELLS)), np.zeros(shape, np.int64))

    def step(self, state: CategoryState, counts: Counts, start: int) -> Floats:
        """Add the counts (..., layout columns, 70) of a tile: evidence in nats, (..., columns, distances); changes `state`."""
        fresh = state.counts.sum(axis=-1) == 0
        state.start[fresh] = start
        state.counts += counts[..., self.columns, :VALUE_CELLS][..., None, :]
        total = state.counts.sum(axis=-1)
        alternative = _log_learned(state.counts, total, self._alternative)
        null = _log_learned(state.counts, total, self._null)
        evidence = (alternative - null) / self.variance[:, None]
        over = evidence <= 0
        state.counts[over] = 0.0
        return np.where(over, 0.0, evidence)

    @cached_property
    def _alternative(self) -> Prior:
        categories = np.maximum(1, (self.shares > 0).sum(axis=1) - 1)
        strength = np.maximum(1.0, categories[:, None] / DISTANCES**2 - 1)
        return _prior(strength[..., None] * self.shares[:, None])

    @cached_property
    def _null(self) -> Prior:
        return _prior((self.rows[:, None] * self.shares)[:, None])

    def reset(self, state: CategoryState, columns: npt.NDArray[np.bool_]) -> None:
        """Set the CUSUMs of these columns, (..., columns), to zero."""
        state.counts[columns] = 0.0


def watched_categories(layout: TileLayout) -> npt.NDArray[np.int64]:
    """Places of the columns of categories that have more than one."""
    return np.array(
        [
            place
            for place, column in enumerate(layout.columns)
            if column.watched and isinstance(column.cells, CategoryCells) and column.cells.bins > 1
        ],
        np.int64,
    )


def category_cusums(layout: TileLayout, reference: Counts, variance: Floats | None = None) -> CategoryCusums:
    """The CUSUMs, from the counts of the reference's rows; a category in use has at least half a row.

    `variance`: long-run variance of each of `watched_categories`; 1 if not given.
    """
    columns = watched_categories(layout)
    counts = reference[columns, :VALUE_CELLS].astype(np.float64)
    for place, column in enumerate(columns):
        cells = layout.columns[column].cells
        if isinstance(cells, CategoryCells):
            used = np.unique(cells.places[:-2])
            counts[place] -= cells.unseen
            counts[place, used] = np.maximum(0.0, counts[place, used]) + 0.5
    rows = np.maximum(1.0, counts.sum(axis=1))
    return CategoryCusums(
        columns, counts / rows[:, None], rows, np.ones(columns.size) if variance is None else variance
    )


def _prior(expected: Floats) -> Prior:
    # A cell that is not in use stays empty; any positive number does.
    strength = expected.sum(axis=-1)
    expected = np.where(expected > 0, expected, 1.0)
    return Prior(expected, gammaln(expected), strength, gammaln(strength))


def _log_learned(counts: Floats, total: Floats, prior: Prior) -> Floats:
    """Log probability of the rows, in order, when the shares are learnt from the prior and the rows before."""
    terms = gammaln(prior.expected + counts) - prior.log_gamma
    result: Floats = terms.sum(axis=-1) - gammaln(prior.strength + total) + prior.log_gamma_strength
    return result
