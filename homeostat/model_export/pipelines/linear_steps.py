"""What fitted steps make of a number, where that is a line of it or of one of its functions. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from homeostat.model_export.prediction_kind import Floats

# The largest error of a line, relative to the largest prepared value.
_EQUAL = 1e-9
FUNCTIONS: dict[str, Callable[[Floats], Floats]] = {
    "identity": lambda numbers: numbers,
    "log1p": np.log1p,
    "log": np.log,
    "sqrt": np.sqrt,
    "square": np.square,
}


@dataclass(frozen=True)
class Line:
    """What the steps make of a raw number: slopes * function(number) + offsets, each [prepared columns].

    `function`: a key of `FUNCTIONS`.
    `missing`: [1, prepared columns], what they make of a missing number. `values`: some prepared rows.
    """

    function: str
    slopes: Floats
    offsets: Floats
    missing: Floats
    values: Floats


def fit_line(numbers: Floats, values: Floats, missing: Floats, *, ends: tuple[float, float]) -> Line | None:
    """The line through what the steps make of ascending numbers, [numbers, prepared columns]; None if there is none.

    It is fitted between `ends`, where the rows are, and must hold for all numbers.
    """
    for name, function in FUNCTIONS.items():
        with np.errstate(all="ignore"):
            given = function(numbers)
            finite = np.isfinite(given)
            if not np.isnan(values[~finite][:, ~same_for_all(values)]).all() or np.ptp(given[finite]) == 0:
                continue
            seen = finite & (numbers >= ends[0]) & (numbers <= ends[1])
            fitted = np.flatnonzero(seen if np.ptp(given[seen]) > 0 else finite)
            first, last = fitted[given[fitted].argmin()], fitted[given[fitted].argmax()]
            slopes = (values[last] - values[first]) / (given[last] - given[first])
            offsets = values[first] - slopes * given[first]
            wrong = np.abs(slopes * given[finite, None] + offsets - values[finite])
        size = np.maximum(np.abs(values[finite]).max(axis=0), np.abs(slopes * np.ptp(given[finite])))
        if (wrong <= _EQUAL * np.maximum(size, 1.0)).all():
            return Line(name, slopes, offsets, missing, values)
    return None


def same_for_all(made: Floats) -> npt.NDArray[np.bool_]:
    """Which prepared columns are the same for all values of the raw one."""
    return np.asarray(np.isclose(made, made[:1], rtol=0, atol=0, equal_nan=True).all(axis=0))
