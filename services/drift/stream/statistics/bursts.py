"""Bursts of missing, infinite, out-of-range, new or invalid values.

The alternative adds 3, 30 or 90 % of the rows to the share of the reference. Under the null hypothesis the share is that of the
reference, averaged over its posterior given the reference's rows with Jeffreys' prior (beta-binomial; Gelman et al. 2013, section
2.4): a value the reference never had is rare, not impossible. The likelihood ratio of the rows since it was last below 1 is an
e-process, so it reaches exp(h) with a probability of at most exp(-h) (Ville 1939); no simulation is needed. Missing values often
come in runs: the ratio is divided by the long-run variance of the share.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.special import betaln

from services.drift.stream.statistics.scores import Floats
from services.drift.stream.tiles import ABOVE, BELOW, CELLS, INFINITE, INVALID, MISSING, NEW, Counts

Burst = Literal["schema", "missing", "new_category", "infinite", "out_of_range"]

# In the order in which a fault is named if several fit.
BURSTS: tuple[tuple[Burst, tuple[int, ...]], ...] = (
    ("schema", (INVALID,)),
    ("missing", (MISSING,)),
    ("new_category", (NEW,)),
    ("infinite", (INFINITE,)),
    ("out_of_range", (BELOW, ABOVE)),
)
ADDED_SHARES = np.array([0.03, 0.3, 0.9])


@dataclass(eq=False)
class BurstState:
    """Since the last zero: special values and rows, (..., columns, bursts, shares), and the start of the first tile (µs)."""

    hits: Floats
    rows: Floats
    start: npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class BurstDetectors:
    """`hits`, `rows`: of the reference, (columns, bursts); `variance`: long-run variance of each share."""

    hits: Floats
    rows: Floats
    variance: Floats

    def begin(self, streams: tuple[int, ...] = ()) -> BurstState:
        """No evidence."""
        shape = (*streams, *self.hits.shape, ADDED_SHARES.size)
        return BurstState(np.zeros(shape), np.zeros(shape), np.zeros(shape, np.int64))

    def step(self, state: BurstState, counts: Counts, start: int) -> Floats:
        """Add the counts (..., columns, 70) of a tile: evidence in nats, (..., columns, bursts, shares); changes `state`."""
        np.copyto(state.start, start, where=state.rows == 0)
        hits, rows = burst_counts(counts)
        state.hits += hits[..., None]
        state.rows += rows[..., None]
        gained = state.hits * self._log_share + (state.rows - state.hits) * self._log_rest
        first, second = (self.hits + 0.5)[..., None], (self.rows - self.hits + 0.5)[..., None]
        null = betaln(first + state.hits, second + state.rows - state.hits) - betaln(first, second)
        evidence = (gained - null) / self.variance[..., None]
        over = evidence <= 0
        state.hits[over] = 0.0
        state.rows[over] = 0.0
        return np.where(over, 0.0, evidence)

    @cached_property
    def _log_share(self) -> Floats:
        return np.asarray(np.log(self._shares))

    @cached_property
    def _log_rest(self) -> Floats:
        return np.asarray(np.log1p(-self._shares))

    @cached_property
    def _shares(self) -> Floats:
        before = ((self.hits + 0.5) / (self.rows + 1))[..., None]
        return np.asarray(before + ADDED_SHARES * (1 - before))


def burst_counts(counts: Counts) -> tuple[Floats, Floats]:
    """Special values and rows of counts (..., columns, 70): (..., columns, bursts)."""
    hits = np.stack([counts[..., list(cells)].sum(axis=-1) for _, cells in BURSTS], axis=-1)
    rows = np.broadcast_to(counts[..., :CELLS].sum(axis=-1)[..., None], hits.shape)
    return hits.astype(np.float64), rows.astype(np.float64)
