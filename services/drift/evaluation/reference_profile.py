"""The reference of a version: the distribution of its rows, in the form that windows are compared with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Literal

import numpy as np

from services.drift.evaluation.answered import Answered
from services.drift.evaluation.columns import Column, Floats, Objects, Rows, columns_of, prediction_columns
from services.drift.evaluation.data_quality import missing
from services.drift.evaluation.estimated_performance import PerformanceEstimator, fit_estimator
from services.drift.evaluation.performance import Loss, measure_loss
from services.drift.thresholds.calibration import Baseline, category_baseline, numeric_baseline
from shared.contracts.event_time import INSTANT, to_micros
from shared.contracts.loop_spec import LoopSpec
from shared.contracts.slices.slice_spec import Slice
from shared.models.reference_loss import LossRows, reference_losses
from shared.observability.logs import get_logger, log_unknown_error

_log = get_logger(__name__)


@dataclass(frozen=True)
class Reference:
    """A version's reference rows with what is computed from them once.

    `loss_rows`: what `loss` was measured on: rows `held out` of the training, or `all` rows, where too few were held out or
    the training rows are unknown; then the version may have seen them, and the loss is lower than it can be in service.
    `trained_until`: event time of the last training row in µs, None if it is unknown. `slices`: those of loop.yaml, with the
    values that these rows have.
    """

    version: str
    loop: LoopSpec
    rows: Rows
    columns: tuple[Column, ...]
    baselines: Mapping[str, Baseline]
    loss: Loss | None
    loss_rows: LossRows | Literal[""] = ""
    trained_until: int | None = None
    slices: tuple[Slice, ...] = ()

    @cached_property
    def slice_losses(self) -> Mapping[str, Loss]:
        """The loss of each slice, by name, over the rows of `loss` that belong to it; none of a slice without such rows."""
        performance = self.loop.performance
        if performance is None:
            return {}
        rows = self.rows_of_loss
        found = {
            name: measure_loss(performance.metric.name, rows.loss[inside])
            for name, inside in rows.slices.items()
        }
        return {name: loss for name, loss in found.items() if loss is not None}

    @cached_property
    def slice_answers(self) -> Mapping[str, Answered]:
        """What metrics are computed from, over the rows of `loss`: by slice, and of all rows by the name ""."""
        rows = self.rows_of_loss
        if rows.answered is None:
            return {}
        parts = {name: rows.answered.take(inside).known() for name, inside in rows.slices.items()}
        return {"": rows.answered.known(), **parts}

    @property
    def rows_of_loss(self) -> Rows:
        """The rows that `loss` was measured on."""
        if self.loss_rows != "held out" or self.trained_until is None:
            return self.rows
        return self.rows.take(np.flatnonzero(self.rows.event_time > self.trained_until))

    @cached_property
    def estimator(self) -> PerformanceEstimator | None:
        """Estimates the loss of windows without outcomes; fitted when first asked for, which takes about a second. None where it
        cannot be fitted."""
        try:
            return fit_estimator(self.loop, self.rows_of_loss)
        except Exception as error:  # an estimate is extra: a window is judged without it
            log_unknown_error(_log, error)
            return None

    @property
    def length(self) -> timedelta:
        """Event time the reference covers."""
        if len(self.rows) < 2:
            return timedelta(0)
        return int(self.rows.event_time[-1] - self.rows.event_time[0]) * INSTANT

    def expected_rows(self, length: timedelta, fallback: int) -> float:
        """Rows the reference has in a time of that length; `fallback` where it covers no time."""
        return len(self.rows) * (length / self.length) if self.length else float(fallback)


def build_reference(
    version: str,
    loop: LoopSpec,
    rows: Rows,
    trained_until: datetime | None = None,
    slices: tuple[Slice, ...] = (),
) -> Reference:
    """Compute the baselines of every measured column and of the prediction, and the reference's loss.

    `trained_until`: event time of the last row the version was trained on; None where that is not known. `slices`: those that
    `rows` were read with.
    """
    columns = columns_of(loop)
    baselines = {column.name: _baseline(column.kind, rows.columns[column.name]) for column in columns}
    for answer in prediction_columns(loop):
        baselines[answer.name] = _baseline(answer.kind, rows.predictions[answer.name])
    until = None if trained_until is None else to_micros(trained_until)
    loss, loss_rows = _loss(loop, rows, until)
    return Reference(version, loop, rows, columns, baselines, loss, loss_rows, until, slices)


def _loss(loop: LoopSpec, rows: Rows, until: int | None) -> tuple[Loss | None, LossRows | Literal[""]]:
    """A model fits the rows it was trained on: compared with their loss, every later window would seem to drift."""
    if loop.performance is None:
        return None, ""
    losses, loss_rows = reference_losses(rows.loss, rows.event_time, until, loop.drift.window.minimum_rows)
    loss = measure_loss(loop.performance.metric.name, losses)
    return loss, loss_rows if loss else ""


def _baseline(kind: str, values: Floats | Objects) -> Baseline:
    present = values[~missing(values)]
    if kind == "category":
        return category_baseline(present.astype(object))
    return numeric_baseline(present.astype(np.float64))
