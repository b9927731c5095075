"""What realised losses are compared with, row by row: the reference's held-out losses, on a scale from 0 to 1. Pure.

The detector needs bounded losses; log scores and errors have no bound. A loss above the 99th percentile of the reference counts
as that percentile, so that a few extreme rows decide nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from services.drift.evaluation.performance import measure_loss
from services.drift.evaluation.reference_profile import Reference
from services.drift.stream.error_detector import CONFIDENCE, ErrorDetector, null_of
from services.drift.stream.statistics.scores import Floats
from services.drift.thresholds.alarm_budget import MONTH, error_budget
from shared.models.reference_loss import reference_losses

BOUND_QUANTILE = 0.99
_MAXIMUM_NULL = 0.999


@dataclass(frozen=True)
class LossStandard:
    """`bound`: losses of it or more count as 1. `mean`: of the reference's losses on that scale. `null`: what the mean may be
    without drift: upper confidence limit plus the tolerated increase. `dependence`: long-run variance of the mean, relative to
    that of independent rows. `rows_between_alarms`: from the alarm budget. `errors`: a loss is 0 or 1."""

    bound: float
    mean: float
    null: float
    dependence: float
    rows_between_alarms: float
    errors: bool = False

    @classmethod
    def of(cls, reference: Reference) -> LossStandard | None:
        """The standard of a version; None where no rows were held out of its training: their loss is lower than in service, and
        evidence of that adds up without any drift."""
        performance, loop = reference.loop.performance, reference.loop
        if performance is None or reference.loss_rows != "held out" or not reference.length:
            return None
        losses, _ = reference_losses(
            reference.rows.loss,
            reference.rows.event_time,
            reference.trained_until,
            loop.drift.window.minimum_rows,
        )
        losses = losses[np.isfinite(losses)]
        bound = float(np.quantile(losses, BOUND_QUANTILE)) or float(losses.max())
        if bound <= 0:
            return None
        scaled = np.clip(losses / bound, 0.0, 1.0)
        loss = measure_loss("mae", scaled)
        assert loss is not None
        limit = loss.value + float(stdtrit(loss.blocks - 1, CONFIDENCE)) * loss.error
        if set(np.unique(scaled)) <= {0.0, 1.0}:
            limit = max(limit, null_of(scaled))
        increase = loop.drift.loss_increase
        if performance.metric.name == "rmse":  # a row's loss is the square
            mean = float(losses.mean())
            increase = (math.sqrt(mean) + increase) ** 2 - mean
        null = limit + increase / bound
        if not 0 < null <= _MAXIMUM_NULL:
            return None
        independent = float(scaled.std(ddof=1)) / math.sqrt(scaled.size)
        dependence = max(1.0, (loss.error / independent) ** 2) if independent > 0 else 1.0
        month = len(reference.rows) * (MONTH / reference.length)
        budget = error_budget(loop.drift.false_alarms_per_30_days)
        return cls(
            bound,
            loss.value,
            null,
            dependence,
            max(2.0, month / budget),
            performance.metric.name == "error_rate",
        )

    def scaled(self, losses: Floats) -> Floats:
        """Losses between 0 and 1."""
        return np.clip(losses / self.bound, 0.0, 1.0)

    def detector(self) -> ErrorDetector:
        """A detector without evidence."""
        return ErrorDetector(self.null, self.rows_between_alarms, self.dependence, self.errors)
