"""How often the challenger decides as the champion does. Pure."""

from __future__ import annotations

import numpy as np

from services.retraining.gate_checks.check import Check, Measured
from services.retraining.gate_checks.comparison import Comparison
from shared.models.losses import Scores

AGREEMENT = "agreement"
_DECISION = 0.5


def check_agreement(minimum: float | None, compared: Comparison) -> Measured | None:
    """The agreement, with a check only if there is a bound; None where it is not defined, as of constant values."""
    prediction, other = compared.spec.prediction, compared.champion.scores
    if prediction.kind == "classes" and other.shape != compared.challenger.scores.shape:
        return None  # other labels
    value = agreement(prediction.kind, other, compared.challenger.scores)
    if value is None:
        return None
    what = (
        "correlation of the values" if prediction.kind in ("value", "values") else "share of equal decisions"
    )
    check = None
    if minimum is not None:
        reason = f"agreement with the champion ({what}) is {value:.4f}; gate.minimum_agreement is {minimum:g}"
        check = Check(AGREEMENT, value >= minimum, reason)
    return Measured(AGREEMENT, check, {"agreement": value, "of": what})


def agreement(kind: str, champion: Scores, challenger: Scores) -> float | None:
    """The share of rows with the same decision, or Pearson's correlation of values; None if that is not defined.

    >>> agreement("probability", np.array([0.2, 0.6, 0.9]), np.array([0.3, 0.4, 0.8])) == 2 / 3
    True
    >>> agreement("value", np.array([1.0, 2.0]), np.array([5.0, 5.0])) is None
    True
    """
    if kind == "probability":
        return float(((champion >= _DECISION) == (challenger >= _DECISION)).mean())
    if kind == "classes":
        return float((champion.argmax(axis=1) == challenger.argmax(axis=1)).mean())
    old, new = (np.asarray(one, np.float64).reshape(len(one), -1) for one in (champion, challenger))
    scale = old.std(axis=0) * new.std(axis=0)
    if not (scale > 0).all():
        return None
    together = ((old - old.mean(axis=0)) * (new - new.mean(axis=0))).mean(axis=0)
    return float((together / scale).mean())
