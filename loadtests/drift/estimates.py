"""Estimated performance beside the realised one, of a probability whose inputs move (covariate shift).

One feature decides; the score is overconfident. The reference has 20,000 rows, a window 50,000, so that the realised area
under the ROC curve is known to about 0.002. Shifts are in standard deviations of the feature.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit
from scipy.stats import rankdata

from services.drift.evaluation.columns import Floats, Rows
from services.drift.evaluation.estimated_performance import fit_estimator
from shared.contracts.loop_spec import LoopSpec
from shared.models.losses import row_losses

SHIFTS = (0.0, 0.5, 1.0, -1.0)
REFERENCE_ROWS, WINDOW_ROWS = 20_000, 50_000
MAXIMUM_DIFFERENCE = 0.01
LOOP = LoopSpec.model_validate(
    {
        "model": "bench",
        "features": [{"name": "x", "type": "number"}],
        "prediction": {"kind": "probability"},
        "outcome": {"delay": "1d"},
        "metric": {"name": "log_loss"},
        "drift": {"window": {"every": "1d"}},
        "retraining": {"command": ["python", "train.py"]},
        "gate": {"holdout": "1d"},
    }
)


@dataclass(frozen=True)
class Estimates:
    """Over the runs of one shift: the mean absolute difference of estimated and realised AUC, and of the losses; the worst AUC;
    `concept`: how much the realised loss rises above the estimate when the outcomes change instead of the inputs."""

    shift: float
    runs: int
    auc: float
    worst_auc: float
    loss: float
    concept: float


def measure_estimates(shift: float, *, runs: int) -> Estimates:
    """Each run has a reference and a window of its own."""
    aucs, losses, concepts = [], [], []
    for run in range(runs):
        estimator = fit_estimator(LOOP, _rows(REFERENCE_ROWS, 2 * run, 0.0, 0.0))
        assert estimator is not None
        window = _rows(WINDOW_ROWS, 2 * run + 1, shift, 0.0)
        changed = _rows(WINDOW_ROWS, 2 * run + 1, shift, 1.0)
        estimate, blind = estimator.estimate(window), estimator.estimate(changed)
        assert estimate is not None
        assert estimate.auc is not None
        assert blind is not None
        aucs.append(abs(estimate.auc - _auc(window)))
        losses.append(abs(estimate.value - float(window.loss.mean())))
        concepts.append(float(changed.loss.mean()) - blind.value)
    return Estimates(
        shift,
        runs,
        float(np.mean(aucs)),
        float(np.max(aucs)),
        float(np.mean(losses)),
        float(np.mean(concepts)),
    )


def _rows(rows: int, seed: int, shift: float, concept: float) -> Rows:
    random = np.random.default_rng(seed)
    x = random.normal(shift, 1, rows)
    scores: Floats = expit(1.3 * (1.5 * x - 1))
    outcomes = (random.random(rows) < expit(1.5 * x - 1 + concept)).astype(np.float64)
    times = np.arange(rows, dtype=np.int64) * 1_000_000
    return Rows(times, {"x": x}, {"score": scores}, outcomes, row_losses("log_loss", scores, outcomes))


def _auc(rows: Rows) -> float:
    positive = rows.outcome == 1
    first, second = int(positive.sum()), int((~positive).sum())
    ranks = rankdata(rows.predictions["score"])
    return float((ranks[positive].sum() - first * (first + 1) / 2) / (first * second))
