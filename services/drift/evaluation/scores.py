"""A measurement with its threshold."""

from __future__ import annotations

import math

from shared.contracts.verdict import Score, Signal


def score_or_none(signal: Signal, feature: str, method: str, value: float, threshold: float) -> Score | None:
    """The score; None if either number is not finite: the loss of a single row, for example, has no threshold.

    `value` and `threshold` are in the method's unit.
    """
    if not (math.isfinite(value) and math.isfinite(threshold)):
        return None
    return Score(
        signal=signal,
        feature=feature,
        method=method,
        value=value,
        threshold=threshold,
        exceeded=value > threshold,
    )
