"""Thresholds of the methods of Evidently that `loop.yaml` may choose: in closed form for the defaults, by replay for others."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from services.drift.evaluation.columns import Column
from services.drift.evaluation.data_quality import missing
from services.drift.evaluation.evidently_adapter import METHODS, Sample
from services.drift.evaluation.reference_profile import Reference
from services.drift.thresholds.calibration import Sizes, distance_threshold
from services.drift.thresholds.replayed_null import ReplayedNull, Values, replay_null
from shared.contracts.loop_spec import Drift

# Nulls of all versions, columns and window sizes that are kept: a few hundred bytes each.
MAX_NULLS = 10_000
# Window sizes are rounded down to powers of this, so that windows of nearly the same size share a null. A smaller window has the
# larger scores, so the threshold is, if anything, too high.
SIZE_STEP = 1.25


class Distances(Protocol):
    """Distance of a column from the reference; None if it cannot be computed."""

    def distance(self, sample: Sample) -> float | None: ...


def method_of(drift: Drift, kind: str, column: Column | None = None) -> str:
    """The method that measures a column of that kind; of a feature with `method` its own."""
    if column is not None and column.feature.method is not None:
        return column.feature.method
    return drift.methods.category if kind == "category" else drift.methods.number


@dataclass
class MethodThresholds:
    """Computes thresholds. Replays are kept, since one takes a hundred distances."""

    distances: Distances
    max_rows: int
    _nulls: dict[tuple[str, str, str, int], ReplayedNull | None] = field(default_factory=dict)

    def threshold(
        self, pair: Sample, value: float, reference: Reference, sizes: Sizes, alpha: float
    ) -> float | None:
        """The value that is exceeded with probability `alpha` when nothing has changed, plus the tolerance `minimum_effect`.

        The tolerance has the unit of the default methods. For another method the distance by the default one must exceed it, too:
        otherwise the threshold is not below `value`. None where the reference is too short for a replay.
        """
        tolerance = reference.loop.drift.minimum_effect
        if pair.chosen == METHODS[pair.kind]:
            return distance_threshold(reference.baselines[pair.name], sizes, alpha) + tolerance
        null = self._null(pair, reference, sizes)
        if null is None:
            return None
        effect = self.distances.distance(replace(pair, method=""))
        is_small = effect is None or effect < tolerance
        limit = null.threshold(alpha)
        return max(limit, value) if is_small else limit

    def _null(self, pair: Sample, reference: Reference, sizes: Sizes) -> ReplayedNull | None:
        rows = int(SIZE_STEP ** math.floor(math.log(max(sizes.window_sampled, 2), SIZE_STEP)))
        key = (reference.version, pair.name, pair.chosen, rows)
        if key not in self._nulls:
            if len(self._nulls) >= MAX_NULLS:
                self._nulls.clear()
            self._nulls[key] = self._replay(pair, reference, sizes, rows)
        return self._nulls[key]

    def _replay(self, pair: Sample, reference: Reference, sizes: Sizes, rows: int) -> ReplayedNull | None:
        values = {**reference.rows.columns, **reference.rows.predictions}[pair.name]
        present: Values = values[~missing(values)]
        effect = reference.baselines[pair.name].design_effect(sizes.expected)
        return replay_null(present, rows, 2 * effect.factor, self._compare(pair), seed=1)

    def _compare(self, pair: Sample) -> Callable[[Values, Values], float | None]:
        def compare(window: Values, older: Values) -> float | None:
            # As many rows as a window is compared with.
            places = np.linspace(0, older.size - 1, min(older.size, self.max_rows)).astype(np.int64)
            return self.distances.distance(replace(pair, window=window, reference=older[places]))

        return compare
