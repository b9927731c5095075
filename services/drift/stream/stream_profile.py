"""What the detectors of one version need: computed once from its reference, in time order; deterministic."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

import numpy as np
import numpy.typing as npt

from services.drift.evaluation.reference_profile import Reference
from services.drift.stream.broken_values import BrokenValues, broken_values
from services.drift.stream.bursts import BURSTS, BurstDetectors, burst_counts
from services.drift.stream.category_cusum import DISTANCES, CategoryCusums, category_cusums
from services.drift.stream.cusum import SIDES, TUNINGS, Cusums, independent
from services.drift.stream.layout import TileLayout
from services.drift.stream.scores import Floats, scores_of
from services.drift.stream.sum_statistic import SumCusum, sum_cusum
from services.drift.stream.thresholds import Statistics, Thresholds, thresholds, tile_rate
from services.drift.stream.tiles import Counts

ROWS_PER_TILE = 50
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
        dependence = independent(scores)
        cusums = Cusums(scores, dependence)
        categories = category_cusums(layout, counts)
        many = sum_cusum(np.eye(scores.columns.size), dependence.variance[:, 0], float(len(reference.rows)))
        hits, rows = burst_counts(counts)
        bursts = BurstDetectors(hits, rows, np.ones_like(hits))
        broken = broken_values(layout, scores, np.ones(scores.columns.size))
        limits = thresholds(
            count_statistics(layout, cusums, categories),
            tile_rate(false_alarms_per_30_days, tile),
        )
        return cls(layout, counts, tile, window, cusums, categories, many, bursts, broken, limits)

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


def count_statistics(layout: TileLayout, cusums: Cusums, categories: CategoryCusums) -> Statistics:
    """Number of statistics of each kind that share a budget."""
    is_feature = np.array([column.signal == "feature" for column in layout.columns], bool)
    numeric = cusums.scores.usable.sum(axis=1) * TUNINGS.size * SIDES.size
    features = int(numeric[is_feature[cusums.scores.columns]].sum())
    features += DISTANCES.size * int(is_feature[categories.columns].sum())
    total = int(numeric.sum()) + DISTANCES.size * categories.columns.size
    columns = len(layout.columns)
    pairs = cusums.scores.columns.size
    faults = columns * len(BURSTS) + 2 * pairs + pairs * (pairs - 1) // 2
    return Statistics(features, total - features, int(pairs > 1), faults)
