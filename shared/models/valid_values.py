"""Which values of a feature are outside of what `loop.yaml` allows. Drift measures their share, and a deployment warns. Pure."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.contracts.feature import Feature


def outside(feature: Feature, present: npt.NDArray[Any]) -> npt.NDArray[np.bool_] | None:
    """Per value that is not missing, whether it is out of range or no known category; None if loop.yaml sets no bounds.

    >>> outside(Feature(name="age", type="number", minimum=0), np.array([-1.0, 0.0, 7.0]))
    array([ True, False, False])
    """
    if feature.takes_any_text:
        return None
    if feature.type == "category":
        allowed = frozenset(feature.values)
        return np.array([value not in allowed for value in present], dtype=bool)
    if feature.minimum is None and feature.maximum is None:
        return None
    low = -math.inf if feature.minimum is None else feature.minimum
    high = math.inf if feature.maximum is None else feature.maximum
    found: npt.NDArray[np.bool_] = (present < low) | (present > high)
    return found
