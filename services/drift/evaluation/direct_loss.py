"""Direct loss estimation: the loss of a row from its features and the answer, as the reference shows it.

A regression of the rows' losses on features and answers, by gradient-boosted trees on histograms (Ke et al., LightGBM,
NeurIPS 2017; the implementation is scikit-learn's). NannyML calls this direct loss estimation. It holds while the loss of a
row, given its features, has not changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from services.drift.evaluation.columns import Floats, Objects, Rows

# With fewer rows trees show noise.
MIN_ROWS = 500
MAX_ROWS = 20_000
# A category is taken as the mean loss of its rows, drawn to the mean of all by this many rows (Micci-Barreca, A preprocessing
# scheme for high-cardinality categorical attributes, SIGKDD Explorations 2001).
SHRINKAGE = 20.0


@dataclass(frozen=True)
class DirectLoss:
    """Estimates the loss of rows. `columns`: the columns it reads, in order; `levels`: of a category, the mean loss of each;
    `mean`: the estimate of every row where no column tells anything."""

    columns: tuple[str, ...]
    levels: Mapping[str, Mapping[str, float]]
    trees: Any
    mean: float

    @classmethod
    def of(cls, rows: Rows, losses: Floats) -> DirectLoss:
        """Fit it on the rows that have a loss; at least two. The fit is deterministic."""
        from sklearn.ensemble import HistGradientBoostingRegressor

        known = np.flatnonzero(np.isfinite(losses))
        known = known[:: max(1, -(-known.size // MAX_ROWS))]
        read = rows.take(known)
        target = losses[known]
        values = {**read.columns, **read.predictions}
        levels = {
            name: _mean_losses(column, target) for name, column in values.items() if column.dtype == object
        }
        trees = HistGradientBoostingRegressor(
            max_iter=100, learning_rate=0.1, max_leaf_nodes=15, min_samples_leaf=50, random_state=1
        )
        # A few huge losses would decide every split.
        limit = float(np.quantile(target, 0.999))
        matrix = _matrix(values, tuple(values), levels)
        # A column without two different values tells nothing, and the histograms cannot be made of it.
        telling = [
            place
            for place in range(len(values))
            if np.unique(matrix[np.isfinite(matrix[:, place]), place]).size > 1
        ]
        columns = tuple(name for place, name in enumerate(values) if place in telling)
        if columns:
            trees.fit(matrix[:, telling], np.minimum(target, limit) if limit > 0 else target)
        return cls(columns, levels, trees, float(target.mean()))

    def losses(self, rows: Rows) -> Floats:
        """The estimated loss of each row."""
        if not len(rows):
            return np.empty(0)
        if not self.columns:
            return np.full(len(rows), self.mean)
        matrix = _matrix({**rows.columns, **rows.predictions}, self.columns, self.levels)
        found: Floats = np.asarray(self.trees.predict(matrix), dtype=np.float64)
        return found


def _mean_losses(column: Floats | Objects, losses: Floats) -> dict[str, float]:
    present = np.array([value is not None and value == value for value in column], dtype=bool)
    names, places = np.unique(column[present].astype(str), return_inverse=True)
    counts = np.bincount(places, minlength=names.size)
    sums = np.bincount(places, weights=losses[present], minlength=names.size)
    centre = float(losses.mean())
    means = (sums + SHRINKAGE * centre) / (counts + SHRINKAGE)
    return dict(zip(names.tolist(), means.tolist(), strict=True))


def _matrix(
    values: Mapping[str, Floats | Objects], columns: Sequence[str], levels: Mapping[str, Mapping[str, float]]
) -> npt.NDArray[np.float64]:
    """Rows by columns; a category that the reference lacks, and a missing value, are NaN."""
    found = []
    for name in columns:
        column = values[name]
        if name in levels:
            known = levels[name]
            column = np.array(
                [known.get(str(value), np.nan) if value is not None else np.nan for value in column]
            )
        found.append(np.asarray(column, dtype=np.float64))
    return np.stack(found, axis=1)
