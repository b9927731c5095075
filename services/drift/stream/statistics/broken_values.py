"""Present values that are wrong: units changed, two columns swapped, a frozen sensor.

Each is a likelihood ratio of a fault against the reference, per row in nats, summed since it was last below zero (CUSUM: Page
1954). The fault's distribution is that of the reference's own rows after the fault, mixed with 2 % of the reference.

- Units: the values times a ratio of units in use, or Fahrenheit for Celsius and the reverse. A real shift may look alike, so the
  fault must explain the tile as well as every shift and every change of spread of the reference does.
- Swapped: each of two numeric columns has the distribution of the other; both have to say so.
- Frozen: all rows have the same value, which is drawn from the reference.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from services.drift.stream.cells.number_cells import NumberCells
from services.drift.stream.layout import TileLayout
from services.drift.stream.statistics.scores import Floats, Scores, log_moments
from services.drift.stream.tiles import MEASURED_CELLS, Counts

# Kilo, per cent, minutes, dozens, deci, feet, inches, pounds, miles.
FACTORS = (1000.0, 100.0, 60.0, 12.0, 10.0, 3.28084, 2.54, 2.20462, 1.609344)
CONTAMINATION = 0.02
# A fault that changes a distribution by less than this, in nats per row, is not looked for. The shares of 66 cells have an error
# of their own, which looks like a divergence of about 66 / rows.
MINIMUM_DIVERGENCE = 0.1
MAXIMUM_ROWS = 5_000
MINIMUM_FROZEN_ROWS = 5
# Shifts that compete with a change of units, in standard deviations of a score.
# Nats by which the best of them may be better: it was fitted to the tile, which the ratio of units was not.
MARGIN = 2.0
COMPETITORS = np.array([0.25, 0.5, 1.0, 1.5, 2.0, 3.0, -0.25, -0.5, -1.0, -1.5, -2.0, -3.0])


@dataclass(eq=False)
class BrokenState:
    """Evidence in nats and the start (µs) of its first tile.

    `units`: (numeric columns, units), `swaps`: (numeric columns, numeric columns), `frozen`: (numeric columns,).
    """

    units: Floats
    swaps: Floats
    frozen: Floats
    units_start: npt.NDArray[np.int64]
    swaps_start: npt.NDArray[np.int64]
    frozen_start: npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class BrokenValues:
    """Log ratios per cell: `units` (numeric, units, 66), `swaps` (numeric, numeric, 66); zero where a fault is not looked for."""

    scores: Scores
    units: Floats
    swaps: Floats
    variance: Floats

    def begin(self, streams: tuple[int, ...] = ()) -> BrokenState:
        """No evidence."""
        columns, units = self.units.shape[:2]
        return BrokenState(
            np.zeros((*streams, columns, units)),
            np.zeros((*streams, columns, columns)),
            np.zeros((*streams, columns)),
            np.zeros((*streams, columns, units), np.int64),
            np.zeros((*streams, columns, columns), np.int64),
            np.zeros((*streams, columns), np.int64),
        )

    def step(self, state: BrokenState, counts: Counts, start: int) -> tuple[Floats, Floats, Floats]:
        """Add a tile's counts, (..., columns, 70): evidence of units, (..., numeric), of swaps and of frozen columns."""
        measured = counts[..., self.scores.columns, :MEASURED_CELLS].astype(np.float64)
        variance = self.variance[:, None]
        gain = _dot(self.units, measured) / variance
        _accumulate(state.units, state.units_start, gain, start)
        side = _dot(self.swaps, measured) / variance
        other = np.swapaxes(side, -1, -2)
        both = np.where((side > 0) & (other > 0), side + other, np.minimum(0.0, side + other))
        _accumulate(state.swaps, state.swaps_start, both, start)
        _accumulate(state.frozen, state.frozen_start, self._frozen(measured) / self.variance, start)
        fits = gain.max(axis=-1, initial=-np.inf) > (self._best_drift(measured) - MARGIN) / self.variance
        return np.where(fits, state.units.max(axis=-1, initial=0.0), 0.0), state.swaps, state.frozen

    def _frozen(self, measured: Floats) -> Floats:
        rows, most = measured.sum(axis=-1), measured.argmax(axis=-1)
        same = np.take_along_axis(measured, most[..., None], axis=-1)[..., 0] == rows
        share = self.scores.shares[np.arange(self.scores.columns.size), most]
        with np.errstate(divide="ignore"):
            gain = -(rows - 1) * np.log(share)
        return np.where(same & (rows >= MINIMUM_FROZEN_ROWS), gain, np.where(rows > 0, -np.inf, 0.0))

    def _best_drift(self, measured: Floats) -> Floats:
        """Log-likelihood gain of the best shift or change of spread, in nats."""
        sums = _dot(self.scores.values, measured)[..., None]
        gain = sums * COMPETITORS - measured.sum(axis=-1)[..., None, None] * self._competitors
        result: Floats = gain.max(axis=(-1, -2), initial=0.0)
        return result

    @cached_property
    def _competitors(self) -> Floats:
        return log_moments(self.scores, COMPETITORS)

    def reset(self, state: BrokenState, columns: npt.NDArray[np.bool_]) -> None:
        """Set the evidence about these numeric columns to zero."""
        state.units[columns] = 0.0
        state.frozen[columns] = 0.0
        state.swaps[columns] = 0.0
        np.swapaxes(state.swaps, -1, -2)[columns] = 0.0


def broken_values(layout: TileLayout, scores: Scores, variance: Floats) -> BrokenValues:
    """Log ratios from at most 5,000 rows of the reference, spread over its time; `variance`: long-run variance per column."""
    rows = layout.reference.rows
    step = max(1, -(-len(rows) // MAXIMUM_ROWS))
    found = {**rows.columns, **rows.predictions}
    values = [found[layout.columns[place].name].astype(np.float64)[::step] for place in scores.columns]
    cells = [layout.columns[place].cells for place in scores.columns]
    limit = MINIMUM_DIVERGENCE + 2 * MEASURED_CELLS / max(1, len(rows))
    units = np.zeros((len(values), 2 * len(FACTORS) + 2, MEASURED_CELLS))
    swaps = np.zeros((len(values), len(values), MEASURED_CELLS))
    for place, (own, value) in enumerate(zip(cells, values, strict=True)):
        if not isinstance(own, NumberCells) or not scores.usable[place].any():
            continue
        changed = [value * factor for factor in FACTORS] + [value / factor for factor in FACTORS]
        changed += [value * 1.8 + 32, (value - 32) / 1.8]
        for unit, other in enumerate(changed):
            units[place, unit] = _log_ratio(own, other, scores.shares[place], limit)
        for partner, other in enumerate(values):
            if partner != place and layout.columns[scores.columns[partner]].signal == "feature":
                swaps[place, partner] = _log_ratio(own, other, scores.shares[place], limit)
    either = (swaps != 0).any(axis=2)
    swaps[~(either & either.T)] = 0.0
    return BrokenValues(scores, units, swaps, variance)


def _log_ratio(cells: NumberCells, values: Floats, shares: Floats, limit: float) -> Floats:
    counts = cells.count(values)[:MEASURED_CELLS].astype(np.float64)
    if counts.sum() == 0:
        return np.zeros(MEASURED_CELLS)
    fault = (1 - CONTAMINATION) * counts / counts.sum() + CONTAMINATION * shares
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(fault > 0, np.log(fault / np.maximum(shares, 1e-300)), 0.0)
    return ratio if float(fault @ ratio) >= limit else np.zeros(MEASURED_CELLS)


def _dot(values: Floats, measured: Floats) -> Floats:
    """Sums over cells: values (columns, k, 66), measured (..., columns, 66) to (..., columns, k)."""
    flat = measured.reshape(-1, *measured.shape[-2:])
    result: Floats = np.matmul(values, flat.transpose(1, 2, 0)).transpose(2, 0, 1)
    return result.reshape(*measured.shape[:-1], values.shape[1])


def _accumulate(evidence: Floats, start: npt.NDArray[np.int64], gain: Floats, now: int) -> None:
    np.copyto(start, now, where=evidence == 0)
    evidence += gain
    np.maximum(evidence, 0.0, out=evidence)
