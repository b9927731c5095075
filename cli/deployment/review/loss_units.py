"""Tolerances and limits of the loss that are not in the unit of the metric. Pure.

The rule, in one place. Let L be the reference's loss (as drift computes it) and C the loss of the best constant answer on the
same rows, which is what a model without skill has.

metric.floor          below L: a window as good as the reference exceeds it, so the first one is already drift.
drift.loss_increase   above L, and L + increase above C: the loss may double and the model lose all skill without an alarm.
                      Of mae and rmse, above 0 and below 0.5 % of L: these losses have the unit of the outcome, where the
                      default of 0.02, made for probabilities, tolerates nothing. Then any increase beyond sampling noise
                      counts as drift, however small.
gate.minimum_gain     at least L: the gain is champion's loss - challenger's loss, and no loss is below 0, so not even a perfect
                      challenger passes while the champion is as good as on the reference.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np

from cli.deployment.review.deployed_rows import DeployedRows, micros
from cli.deployment.review.warning import LoopWarning
from shared.contracts.loop_spec import LoopSpec, Performance
from shared.contracts.prediction import Metric
from shared.models.answers import read_outcomes, read_scores
from shared.models.losses import Floats, MetricName, Scores, in_unit, row_losses
from shared.models.reference_loss import reference_losses

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NEGLIGIBLE = 0.005
_SUGGESTED = 0.05
_SCALED: tuple[MetricName, ...] = ("mae", "rmse")


def loss_warnings(loop: LoopSpec, rows: DeployedRows) -> list[LoopWarning]:
    """Warnings about the rows of the reference's loss, and about numbers that are compared with it; none without a loss."""
    performance = loop.performance
    if performance is None:
        return []
    metric, table = performance.metric.name, rows.reference
    scores, outcomes = read_scores(loop.prediction, table), read_outcomes(loop.prediction, table["outcome"])
    all_losses = row_losses(metric, scores, outcomes)
    until = None if rows.trained_until is None else (rows.trained_until - _EPOCH) // timedelta(microseconds=1)
    times = micros(table["event_time"])
    losses, measured_on = reference_losses(all_losses, times, until, loop.drift.window.minimum_rows)
    losses = losses[np.isfinite(losses)]
    if not losses.size:
        return []
    loss = in_unit(metric, float(losses.mean()))
    found: list[LoopWarning | None] = []
    if until is not None and measured_on == "all":
        held_out = int(np.count_nonzero(np.isfinite(all_losses[times > until])))
        found.append(_trained_on(loop, held_out))
    found += [
        _floor(performance.metric, loss),
        _increase(loop, metric, loss, _constant_loss(metric, scores, outcomes)),
        _gain(performance, loss),
    ]
    return [one for one in found if one is not None]


def _constant_loss(metric: MetricName, scores: Scores, outcomes: Floats) -> float:
    """Loss of the best answer that is the same for all rows: the median for mae, else the mean or the shares of the labels.

    Of several values the median or the mean of each.
    """
    if outcomes.ndim == 2:
        known = outcomes[np.isfinite(outcomes).all(axis=1)]
        best = np.median(known, axis=0) if metric == "mae" else known.mean(axis=0)
        return in_unit(metric, float(row_losses(metric, np.tile(best, (len(known), 1)), known).mean()))
    known = outcomes[np.isfinite(outcomes)]
    if scores.ndim == 2:
        shares = np.array([np.mean(known == place) for place in range(scores.shape[1])])
        constant: Scores = np.tile(shares, (known.size, 1))
    else:
        constant = np.full(known.size, np.median(known) if metric == "mae" else known.mean())
    return in_unit(metric, float(row_losses(metric, constant, known).mean()))


def _trained_on(loop: LoopSpec, held_out: int) -> LoopWarning:
    minimum = loop.drift.window.minimum_rows
    return LoopWarning(
        "drift.window.minimum_rows",
        f"{held_out} rows with outcomes are newer than the training rows, fewer than {minimum}, so the reference's loss includes "
        "rows that the model was trained on, and new rows seem to have a higher loss",
        f"give a --holdout of at least {minimum} rows with outcomes, all newer than those of --train",
    )


def _floor(of: Metric, loss: float) -> LoopWarning | None:
    floor, metric = of.floor, of.name
    if floor is None or floor >= loss:
        return None
    return LoopWarning(
        "metric.floor",
        f"the {metric} of the reference is {loss:.4g}, above the floor of {floor:g}, so a window without any change "
        "counts as drift",
        f"set it above {loss:.4g}, to the {metric} at which the model is no longer useful",
    )


def _increase(loop: LoopSpec, metric: MetricName, loss: float, constant: float) -> LoopWarning | None:
    increase = loop.drift.loss_increase
    given = "" if "loss_increase" in loop.drift.model_fields_set else "is not set; its default "
    if increase > loss and loss + increase > constant:
        return LoopWarning(
            "drift.loss_increase",
            f"{increase:g} above the reference's {metric} of {loss:.4g} is more than twice that, and more than the "
            f"{constant:.4g} of "
            "always giving the same answer, so a model without any skill would raise no alarm",
            f"set it in the unit of {metric}, such as {_SUGGESTED * loss:.2g}",
        )
    if metric in _SCALED and 0 < increase < _NEGLIGIBLE * loss:
        return LoopWarning(
            "drift.loss_increase",
            f"{given}{increase:g} is {increase / loss:.2%} of the reference's {metric} of {loss:.4g}, so any increase that is not"
            " noise counts as drift, however small",
            f"set it in the unit of {metric}, such as {_SUGGESTED * loss:.2g}; set 0 if every increase should count",
        )
    return None


def _gain(performance: Performance, loss: float) -> LoopWarning | None:
    gain, metric = performance.gate.minimum_gain, performance.metric.name
    if gain < loss or gain == 0:
        return None
    return LoopWarning(
        "gate.minimum_gain",
        f"the {metric} of the reference is {loss:.4g}, so not even a perfect challenger could gain more than {gain:g}",
        f"set it below {loss:.4g}, in the unit of {metric}",
    )
