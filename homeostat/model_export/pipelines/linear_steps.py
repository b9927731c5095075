"""What fitted steps make of a number, where that is a line of it or of one of its functions. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from homeostat.model_export.prediction_kind import Floats

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
