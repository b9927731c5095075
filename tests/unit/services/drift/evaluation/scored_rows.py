"""Seeded rows of models whose truth is known: a probability, and a value whose error depends on a feature."""

from __future__ import annotations

import numpy as np
from scipy.special import expit
from scipy.stats import rankdata

from services.drift.evaluation.columns import Floats, Rows
from shared.models.losses import row_losses


def probability_rows(
    rows: int,
    seed: int,
    *,
    shift: float = 0.0,
    spread: float = 1.0,
    concept: float = 0.0,
    temperature: float = 1.3,
) -> Rows:
    """x is normal around `shift`, the outcome has probability expit(1.5 x - 1 + concept); the score is overconfident."""
    random = np.random.default_rng(seed)
    x = random.normal(shift, spread, rows)
    scores = expit(temperature * (1.5 * x - 1))
    outcomes = (random.random(rows) < expit(1.5 * x - 1 + concept)).astype(float)
    return _rows(
        x, random.choice(["a", "b", "d"], rows), scores, outcomes, row_losses("log_loss", scores, outcomes)
    )


def value_rows(rows: int, seed: int, *, shift: float = 0.0, noisy: str = "b") -> Rows:
    """The answer is off by more for large x, and twice as much in category `noisy`."""
    random = np.random.default_rng(seed)
    x = random.normal(shift, 1, rows)
    c = random.choice(["a", "b", "d"], rows)
    scores = 3 * x
    spread = (0.5 + np.abs(x)) * np.where(c == noisy, 2.0, 1.0)
    outcomes = scores + random.normal(0, 1, rows) * spread
    return _rows(x, c, scores, outcomes, row_losses("mae", scores, outcomes))


def realised_auc(rows: Rows) -> float:
    """Area under the ROC curve of the outcomes."""
    positive = rows.outcome == 1
    first, second = int(positive.sum()), int((~positive).sum())
    ranks = rankdata(rows.predictions["score"])
    return float((ranks[positive].sum() - first * (first + 1) / 2) / (first * second))


def _rows(x: Floats, c: np.ndarray, scores: Floats, outcomes: Floats, losses: Floats) -> Rows:
    times = np.arange(x.size, dtype=np.int64) * 1_000_000
    return Rows(times, {"x": x, "c": c.astype(object)}, {"score": scores}, outcomes, losses)
