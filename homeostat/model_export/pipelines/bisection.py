"""Bisection of many intervals at once, with few calls: the middles of the next steps are asked for together. Pure.

A call runs a whole pipeline of scikit-learn, which takes about as long for a thousand rows as for ten.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from homeostat.model_export.prediction_kind import Floats

# Enough for adjacent floating point numbers in any range that rows have.
STEPS = 80
# Steps a call: it asks for 2 ** 4 - 1 points of each interval, of which four are on the way.
STEPS_PER_CALL = 4


def bisect(
    low: Floats, high: Floats, before: Callable[[Floats], npt.NDArray[np.bool_]]
) -> tuple[Floats, Floats]:
    """Shrink each interval to where `before` turns from true to false: true at the first result, false at the second.

    `low` and `high` are [intervals]. `before` takes points [points, intervals] and says for each whether it is on the first side.
    """
    intervals = np.arange(len(low))
    for _ in range(STEPS // STEPS_PER_CALL):
        middles = _middles(low, high)
        if ((middles[0] == low) | (middles[0] == high)).all():
            break  # adjacent numbers: no later step changes anything
        sides = np.split(before(np.vstack(middles)), [2**step - 1 for step in range(1, STEPS_PER_CALL)])
        place = np.zeros(len(low), dtype=int)
        for middle, side in zip(middles, sides, strict=True):
            point, is_before = middle[place, intervals], side[place, intervals]
            low, high = np.where(is_before, point, low), np.where(is_before, high, point)
            place = 2 * place + is_before
    return low, high


def _middles(low: Floats, high: Floats) -> list[Floats]:
    """For each step the middles of all intervals it may come to, [2 ** step, intervals], from low to high."""
    lows, highs = low[None], high[None]
    found = []
    for _ in range(STEPS_PER_CALL):
        middle = lows + (highs - lows) / 2
        found.append(middle)
        lows = np.stack([lows, middle], axis=1).reshape(-1, len(low))
        highs = np.stack([middle, highs], axis=1).reshape(-1, len(low))
    return found
