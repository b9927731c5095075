"""Whether numbers are probabilities, by their range and by the sums of their rows, and how they are described. Pure."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from shared.models.answer_checks import SUM_TOLERANCE

_Floats = npt.NDArray[np.float64]

# Sums of float32 shares, such as the votes of a forest, miss 0 and 1 by a few steps of 1e-7; half precision by more.
RANGE_TOLERANCE = 1e-4


def are_probabilities(scores: _Floats) -> bool:
    """Whether all numbers lie between 0 and 1, but for rounding."""
    return bool(((scores >= -RANGE_TOLERANCE) & (scores <= 1 + RANGE_TOLERANCE)).all())


def rows_sum_to_one(scores: _Floats) -> bool:
    """Whether the rows [N, classes] sum to 1 in the precision that the model contract asks for."""
    return bool((np.abs(scores.sum(axis=1) - 1) <= SUM_TOLERANCE).all())


def exceed(scores: _Floats) -> bool:
    """Whether a number is below 0 or above 1, if only by rounding."""
    return bool(((scores < 0) | (scores > 1)).any())


def describe(scores: _Floats) -> str:
    """The range, and of several numbers per row the sums of rows, for messages."""
    found = f"the outputs range from {_figure(scores.min())} to {_figure(scores.max())}"
    if scores.ndim < 2:
        return found
    sums = scores.sum(axis=1)
    return f"{found} and their rows sum to {_interval(sums)}"


def clip_notes(probabilities: _Floats) -> tuple[str, ...]:
    """The line of the report on probabilities that exceed 0 and 1, and so are clipped; none if they do not."""
    if not exceed(probabilities):
        return ()
    return (f"{describe(probabilities)}: values outside 0 to 1 by rounding are clipped",)


def _interval(sums: _Floats) -> str:
    low, high = f"{sums.min():.4g}", f"{sums.max():.4g}"
    return low if low == high else f"between {low} and {high}"


def _figure(number: float) -> str:
    # Nine digits distinguish 1 from its neighbours in float32.
    return f"{number:.9g}" if abs(number - 1) < RANGE_TOLERANCE else f"{number:.4g}"
