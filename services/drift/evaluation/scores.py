"""A measurement beside its limit."""

from __future__ import annotations

import math

from shared.contracts.verdict import Score, Signal


def scored(signal: Signal, feature: str, method: str, value: float, threshold: float) -> list[Score]:
    """The score; none where either number is not finite, since nothing can be said against such a limit.

    `value` and `threshold` are in the method's unit. A loss from a single row, for instance, has no limit at all.
    """
    if not (math.isfinite(value) and math.isfinite(threshold)):
        return []
    return [
        Score(
            signal=signal,
            feature=feature,
            method=method,
            value=value,
            threshold=threshold,
            exceeded=value > threshold,
        )
    ]
