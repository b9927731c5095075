"""Performance of each slice, judged like that of the window; and the metrics of both."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from services.drift.evaluation.answered import Answered
from services.drift.evaluation.columns import Rows
from services.drift.evaluation.performance import Loss, loss_threshold, measure_loss
from services.drift.evaluation.performance_metrics import measure
from services.drift.evaluation.reference_profile import Reference
from services.drift.evaluation.scores import score_or_none
from shared.contracts.verdict import MetricValue, Score


def slice_scores(window: Rows, reference: Reference, alpha: float) -> list[Score]:
    """The loss of each slice against its loss in the reference. A slice with too few outcomes in either has no score."""
    performance = reference.loop.performance
    if performance is None:
        return []
    metric, least = performance.metric.name, reference.loop.drift.window.minimum_rows
    scores: list[Score | None] = []
    for name, inside in window.slices.items():
        loss, before = measure_loss(metric, window.loss[inside]), reference.slice_losses.get(name)
        if loss is None or before is None or min(loss.rows, before.rows) < least:
            continue
        limit = loss_threshold(loss, before, reference.loop.drift.loss_increase, alpha)
        score = score_or_none("performance", "", metric, loss.value, limit)
        scores.append(None if score is None else score.model_copy(update={"slice": name}))
    return [score for score in scores if score is not None]


def measured_metrics(window: Rows, reference: Reference) -> tuple[MetricValue, ...]:
    """The metrics and custom metrics of loop.yaml over the window and each slice, and the loss of each slice."""
    return tuple(_measured(window, reference))


def _measured(window: Rows, reference: Reference) -> Iterator[MetricValue]:
    performance = reference.loop.performance
    if performance is None:
        return
    least = reference.loop.drift.window.minimum_rows
    for name, inside in {"": np.full(len(window), True), **window.slices}.items():
        if name:
            loss = measure_loss(performance.metric.name, window.loss[inside])
            yield MetricValue(
                name=performance.metric.name,
                slice=name,
                value=_value_of(loss, least),
                reference=_value_of(reference.slice_losses.get(name), least),
                outcomes=loss.rows if loss else 0,
            )
        if window.answered is None:
            continue
        rows = window.answered.take(inside).known()
        before = reference.slice_answers.get(name)
        for metric in (*reference.loop.metrics, *(one.name for one in reference.loop.custom_metrics)):
            if name and metric == performance.metric.name:
                continue  # the loss of the slice, above
            yield MetricValue(
                name=metric,
                slice=name,
                value=_metric_of(metric, rows, least),
                reference=None if before is None else _metric_of(metric, before, least),
                outcomes=len(rows),
            )


def _value_of(loss: Loss | None, least: int) -> float | None:
    return loss.value if loss is not None and loss.rows >= least else None


def _metric_of(metric: str, rows: Answered, least: int) -> float | None:
    return measure(metric, rows) if len(rows) >= least else None
