"""What the detectors of one version need: computed once from its reference, in time order; deterministic."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

import numpy as np
import numpy.typing as npt

from services.drift.evaluation.reference_profile import Reference
from services.drift.stream.calibration.budget_shares import Statistics, Thresholds, thresholds, tile_rate
from services.drift.stream.calibration.clustering import burst_variance, category_variance
from services.drift.stream.calibration.cycles import Cycles, find_cycles
from services.drift.stream.calibration.level_adjustment import LevelAdjustment
from services.drift.stream.calibration.reference_series import (
    ROWS_PER_TILE,
    reference_series,
)
from services.drift.stream.calibration.serial import serial_model
from services.drift.stream.calibration.thresholds import (
    Surrogate,
    effective_categories,
    effective_statistics,
    surrogate,
)
from services.drift.stream.layout import TileLayout
from services.drift.stream.statistics.broken_values import BrokenValues, broken_values
from services.drift.stream.statistics.bursts import BURSTS, BurstDetectors, burst_counts
from services.drift.stream.statistics.category_cusum import (
    DISTANCES,
    CategoryCusums,
    category_cusums,
)
from services.drift.stream.statistics.cusum import SIDES, TUNINGS, Cusums
from services.drift.stream.statistics.scores import Floats, scores_of
from services.drift.stream.statistics.sum_statistic import SumCusum, sum_cusum
from services.drift.stream.tiles import Counts

SHORTEST_TILE = timedelta(seconds=1)
TILES_PER_WINDOW = 10
SECOND = timedelta(seconds=1)


@dataclass(frozen=True, eq=False)
class StreamProfile:
    """Layout, detectors and thresholds. `reference`: counts of the reference's rows, (columns, 70)."""

    layout: TileLayout
    reference: Counts
    tile: timedelta
    hold: timedelta
    cycles: Cycles
    level: LevelAdjustment
    cusums: Cusums
    categories: CategoryCusums
    many: SumCusum
    bursts: BurstDetectors
    broken: BrokenValues
    thresholds: Thresholds

    @classmethod
    def of(
        cls,
        reference: Reference,
        false_alarms_per_30_days: float,
        *,
        tile: timedelta | None = None,
    ) -> StreamProfile:
        """The profile of a version; `false_alarms_per_30_days`: the budget of all its stream detectors together."""
        layout = TileLayout.of(reference)
        window = window_length(reference)
        tile = tile or tile_length(reference, window)
        counts = layout.count(reference.rows).counts
        scores = scores_of(layout, counts)
        series = reference_series(layout, scores, tile)
        cycles = find_cycles(series)
        serial = serial_model(series, cycles, scores)
        cusums = Cusums(scores, serial.dependence, scores.rows / cycles.dilution)
        categories = category_cusums(layout, counts, category_variance(layout, series))
        drawn = surrogate(series, cusums, serial)
        rows = float(cusums.rows.min(initial=float(len(reference.rows))))
        many = sum_cusum(drawn.location_correlation, serial.dependence.variance[:, 0], rows)
        hits, seen = burst_counts(counts)
        bursts = BurstDetectors(hits, seen, burst_variance(layout, series))
        broken = broken_values(layout, scores, np.maximum(1.0, serial.dependence.variance[:, 0]))
        found = count_statistics(layout, drawn, categories, many, broken)
        limits = thresholds(found, tile_rate(false_alarms_per_30_days, tile))
        return cls(
            layout,
            counts,
            tile,
            window,
            cycles,
            serial.level,
            cusums,
            categories,
            many,
            bursts,
            broken,
            limits,
        )

    @cached_property
    def limits(self) -> Floats:
        """Threshold of each column of the layout."""
        feature = self.of_signal("feature")
        return np.where(feature, self.thresholds.feature, self.thresholds.prediction)

    @cached_property
    def statistics_per_column(self) -> Floats:
        """Number of drift statistics of each column of the layout."""
        found = np.zeros(len(self.layout.columns))
        found[self.cusums.scores.columns] = self.cusums.scores.usable.sum(axis=1) * TUNINGS.size * SIDES.size
        found[self.categories.columns] = DISTANCES.size
        return found

    def of_signal(self, signal: str) -> npt.NDArray[np.bool_]:
        """Which columns of the layout have that signal."""
        return np.array([column.signal == signal for column in self.layout.columns], bool)

    def scores_of(self, counts: Counts, middle: int) -> tuple[Floats, Floats]:
        """Sums of scores, less their mean at the phase of `middle` (µs), (..., columns, 2), and rows, (..., columns)."""
        sums, rows = self.cusums.scores.sums(counts)
        if self.cycles.periods.size:
            sums = sums - rows[..., None] * self.cycles.mean(middle)
        return self.level.adjust(sums, rows), rows

    @property
    def tile_seconds(self) -> float:
        """Event time that a tile covers, in seconds."""
        return self.tile / SECOND


def window_length(reference: Reference) -> timedelta:
    """Length of the model's window in event time; of a window in rows, the time in which the reference has them."""
    window = reference.loop.drift.window
    if window.every is not None:
        return window.every
    rows = max(1, len(reference.rows))
    return max(SHORTEST_TILE, reference.length * ((window.rows or rows) / rows))


def tile_length(reference: Reference, window: timedelta) -> timedelta:
    """Event time in which the reference has about 50 rows: whole seconds, at least one, at most a tenth of the window."""
    rows = max(1, len(reference.rows))
    wanted = reference.length * (ROWS_PER_TILE / rows)
    seconds = max(1, round(min(wanted, window / TILES_PER_WINDOW) / SECOND))
    return seconds * SECOND


def count_statistics(
    layout: TileLayout, drawn: Surrogate, categories: CategoryCusums, many: SumCusum, broken: BrokenValues
) -> Statistics:
    """Effective number of statistics of each kind that share the budget."""
    is_feature = np.array([column.signal == "feature" for column in layout.columns], bool)
    numeric = drawn.cusums.scores.columns
    found = effective_statistics(drawn, many, is_feature[numeric])
    each = effective_categories(categories, drawn.serial.tile_rows)
    own = is_feature[categories.columns]
    pairs = int((broken.partners >= 0).sum()) // 2
    faults = len(layout.columns) * len(BURSTS) + 2 * numeric.size + pairs
    return Statistics(
        found.feature + float(each[own].sum()),
        found.prediction + float(each[~own].sum()),
        found.many_columns,
        faults,
    )
