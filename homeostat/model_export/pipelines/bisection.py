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
# A call of `steps` asks for 2 ** steps - 1 points of each interval, of which `steps` are on the way.
LEAST_STEPS_PER_CALL = 4
POINTS_PER_CALL = 1024


def bisect(
    low: Floats, high: Floats, before: Callable[[Floats], npt.NDArray[np.bool_]]
) -> tuple[Floats, Floats]:
    """Shrink each interval to where `before` turns from true to false: true at the first result, false at the second.

    `low` and `high` are [intervals]. `before` takes points [points, intervals] and says for each whether it is on the first side.
    """
    intervals = np.arange(len(low))
    most = steps_per_call(len(low))
    for done in range(0, STEPS, most):
        steps = min(most, STEPS - done)
        middles = _middles(low, high, steps)
        if ((middles[0] == low) | (middles[0] == high)).all():
            break  # adjacent numbers: no later step changes anything
        sides = np.split(before(np.vstack(middles)), [2**step - 1 for step in range(1, steps)])
        place = np.zeros(len(low), dtype=int)
        for middle, side in zip(middles, sides, strict=True):
            point, is_before = middle[place, intervals], side[place, intervals]
            low, high = np.where(is_before, point, low), np.where(is_before, high, point)
            place = 2 * place + is_before
    return low, high


def steps_per_call(intervals: int) -> int:
    """As many as ask for `POINTS_PER_CALL` points at most, and at least four.

    >>> steps_per_call(1), steps_per_call(8), steps_per_call(1000)
    (10, 7, 4)
    """
    return max(LEAST_STEPS_PER_CALL, (POINTS_PER_CALL // max(intervals, 1) + 1).bit_length() - 1)


def _middles(low: Floats, high: Floats, steps: int) -> list[Floats]:
    """For each step the middles of all intervals it may come to, [2 ** step, intervals], from low to high."""
    lows, highs = low[None], high[None]
    found = []
    for _ in range(steps):
        middle = lows + (highs - lows) / 2
        found.append(middle)
        lows = np.stack([lows, middle], axis=1).reshape(-1, len(low))
        highs = np.stack([middle, highs], axis=1).reshape(-1, len(low))
    return found
