"""The reference of a version: what its rows looked like, kept in the form windows are held against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from services.drift.faults import missing
from services.drift.performance import Loss, MetricName, measure_loss
from services.drift.rows import SCORE, Column, Floats, Objects, Rows, columns_of
from services.drift.sentinel.baseline import Baseline, category_baseline, numeric_baseline
from services.drift.windows import INSTANT
from shared.contracts.loop_spec import LoopSpec


@dataclass(frozen=True)
class Reference:
    """A version's reference rows with what is computed from them once."""

    version: str
    loop: LoopSpec
    rows: Rows
    columns: tuple[Column, ...]
    baselines: Mapping[str, Baseline]
    loss: Loss | None

    @property
    def length(self) -> timedelta:
        """Event time the reference covers."""
        if len(self.rows) < 2:
            return timedelta(0)
        return int(self.rows.event_time[-1] - self.rows.event_time[0]) * INSTANT

    def expected_rows(self, length: timedelta, fallback: int) -> float:
        """Rows the reference has in a stretch of that length; `fallback` where it covers no time."""
        return len(self.rows) * (length / self.length) if self.length else float(fallback)


def build_reference(version: str, loop: LoopSpec, rows: Rows) -> Reference:
    """Compute the baselines of every measured column and of the score, and the reference's loss."""
    columns = columns_of(loop)
    baselines = {column.name: _baseline(column.kind, rows.columns[column.name]) for column in columns}
    baselines[SCORE] = _baseline("numeric", rows.score)
    loss = measure_loss(metric_of(loop), rows.score, rows.outcome) if judged_by_loss(loop) else None
    return Reference(version, loop, rows, columns, baselines, loss)


def judged_by_loss(loop: LoopSpec) -> bool:
    """Whether the model's predictions are single numbers that outcomes can be held against."""
    return loop.prediction.kind != "tensor"


def metric_of(loop: LoopSpec) -> MetricName:
    """The loss the model is judged by."""
    return loop.metric.name


def _baseline(kind: str, values: Floats | Objects) -> Baseline:
    present = values[~missing(values)]
    if kind == "category":
        return category_baseline(present.astype(object))
    return numeric_baseline(present.astype(np.float64))
