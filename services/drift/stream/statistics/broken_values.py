"""Present values that are wrong: units changed, two columns swapped, a frozen sensor.

Each is a likelihood ratio of a fault against the reference, per row in nats, summed since it was last below zero (CUSUM: Page
1954). The fault's distribution is that of the reference's own rows after the fault, mixed with 2 % of the reference.

- Units: the values times a ratio of units in use, or Fahrenheit for Celsius and the reverse. A real shift may look alike, so the
  fault must explain the tile as well as every shift and every change of spread of the reference does.
- Swapped: each of two numeric columns has the distribution of the other; both have to say so. With many columns each is compared
  with those whose median is nearest: values of others are out of the reference's range, which is a fault anyway.
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
# Columns that a column may be swapped with: with hundreds of columns, memory and time would grow with their square.
MAXIMUM_PARTNERS = 32
MINIMUM_FROZEN_ROWS = 5
# Shifts that compete with a change of units, in standard deviations of a score.
# Nats by which the best of them may be better: it was fitted to the tile, which the ratio of units was not.
MARGIN = 2.0
COMPETITORS = np.array([0.25, 0.5, 1.0, 1.5, 2.0, 3.0, -0.25, -0.5, -1.0, -1.5, -2.0, -3.0])


@dataclass(eq=False)
class BrokenState:
    """Evidence in nats and the start (µs) of its first tile.

    `units`: (numeric columns, units), `swaps`: (numeric columns, partners), `frozen`: (numeric columns,).
    """

    units: Floats
    swaps: Floats
    frozen: Floats
    units_start: npt.NDArray[np.int64]
    swaps_start: npt.NDArray[np.int64]
    frozen_start: npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class BrokenValues:
    """Log ratios per cell: `units` (numeric, units, 66), `swaps` (numeric, partners, 66); zero where a fault is not looked for.

    `partners`: (numeric, partners), the columns that each may be swapped with, -1 for none; `mirror`: its place among theirs.
    """

    scores: Scores
    units: Floats
    swaps: Floats
    partners: npt.NDArray[np.int64]
    mirror: npt.NDArray[np.int64]
    variance: Floats

    def begin(self, streams: tuple[int, ...] = ()) -> BrokenState:
        """No evidence."""
        columns, units = self.units.shape[:2]
        partners = self.partners.shape[1]
        return BrokenState(
            np.zeros((*streams, columns, units)),
            np.zeros((*streams, columns, partners)),
            np.zeros((*streams, columns)),
            np.zeros((*streams, columns, units), np.int64),
            np.zeros((*streams, columns, partners), np.int64),
            np.zeros((*streams, columns), np.int64),
        )

    def step(self, state: BrokenState, counts: Counts, start: int) -> tuple[Floats, Floats, Floats]:
        """Add a tile's counts, (..., columns, 70): evidence of units, (..., numeric), of swaps and of frozen columns."""
        measured = counts[..., self.scores.columns, :MEASURED_CELLS].astype(np.float64)
        variance = self.variance[:, None]
        gain = _dot(self.units, measured) / variance
        _accumulate(state.units, state.units_start, gain, start)
        side = _dot(self.swaps, measured) / variance
        other = np.where(self.partners >= 0, side[..., self.partners, self.mirror], 0.0)
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
        state.swaps[(self.partners >= 0) & columns[self.partners]] = 0.0


def broken_values(layout: TileLayout, scores: Scores, variance: Floats) -> BrokenValues:
    """Log ratios from at most 5,000 rows of the reference, spread over its time; `variance`: long-run variance per column."""
    rows = layout.reference.rows
    step = max(1, -(-len(rows) // MAXIMUM_ROWS))
    found = {**rows.columns, **rows.predictions}
    values = [found[layout.columns[place].name].astype(np.float64)[::step] for place in scores.columns]
    cells = [layout.columns[place].cells for place in scores.columns]
    limit = MINIMUM_DIVERGENCE + 2 * MEASURED_CELLS / max(1, len(rows))
    units = np.zeros((len(values), 2 * len(FACTORS) + 2, MEASURED_CELLS))
    partners, mirror = swap_partners(values)
    swaps = np.zeros((*partners.shape, MEASURED_CELLS))
    for place, (own, value) in enumerate(zip(cells, values, strict=True)):
        if not isinstance(own, NumberCells) or not scores.usable[place].any():
            continue
        changed = [value * factor for factor in FACTORS] + [value / factor for factor in FACTORS]
        changed += [value * 1.8 + 32, (value - 32) / 1.8]
        for unit, other in enumerate(changed):
            units[place, unit] = _log_ratio(own, other, scores.shares[place], limit)
        for slot, partner in enumerate(partners[place]):
            if partner >= 0 and layout.columns[scores.columns[partner]].signal == "feature":
                swaps[place, slot] = _log_ratio(own, values[partner], scores.shares[place], limit)
    either = (swaps != 0).any(axis=2)
    swaps[~(either & either[partners, mirror] & (partners >= 0))] = 0.0
    return BrokenValues(scores, units, swaps, partners, mirror, variance)


def swap_partners(values: list[Floats]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """For each column those that it may be swapped with, and its place among theirs, both (columns, partners).

    >>> partners, mirror = swap_partners([np.array([1.0]), np.array([3.0]), np.array([2.0])])
    >>> partners.tolist(), mirror.tolist()
    ([[2, 1], [0, 2], [0, 1]], [[0, 0], [1, 1], [0, 1]])
    """
    count = len(values)
    reach = count - 1 if count - 1 <= MAXIMUM_PARTNERS else MAXIMUM_PARTNERS // 2
    medians = [float(np.nanmedian(value)) if np.isfinite(value).any() else np.inf for value in values]
    order = np.argsort(medians, kind="stable")
    places = [
        [order[at] for at in range(max(0, own - reach), min(count, own + reach + 1)) if at != own]
        for own in range(count)
    ]
    width = max((len(found) for found in places), default=0)
    partners = np.full((count, width), -1, np.int64)
    for own, found in enumerate(places):
        partners[order[own], : len(found)] = found
    mirror = np.zeros_like(partners)
    for place in range(count):
        for slot, partner in enumerate(partners[place]):
            if partner >= 0:
                mirror[place, slot] = int(np.flatnonzero(partners[partner] == place)[0])
    return partners, mirror


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
