"""Values of a raw column that the rows may lack and a model may know. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from homeostat.model_export.columns import Column
from homeostat.model_export.probes import UNSEEN
from shared.contracts.feature import Feature

MAX_KEYS = 2000


def whole_numbers(feature: Feature) -> npt.NDArray[np.int64]:
    """Those of the valid range of an integer, ascending; of more than `MAX_KEYS` some, evenly spaced."""
    low, high = (float(end or 0) for end in (feature.minimum, feature.maximum))
    count = int(min(high - low + 1, MAX_KEYS))
    return np.unique(np.linspace(low, high, count).round().astype(np.int64))


def has_more(feature: Feature) -> bool:
    """Whether the valid range of an integer has more than `MAX_KEYS` whole numbers."""
    return float(feature.maximum or 0) - float(feature.minimum or 0) >= MAX_KEYS


def other_values(column: Column, given: pd.Series[Any], known: Sequence[Any]) -> list[Any]:
    """One for each `given` value: the other boolean, a category of those listed or `known`, a number of the valid range."""
    if column.feature.type == "category":
        values: list[Any] = [*column.keys, *known, UNSEEN]
    elif column.keys:
        values = [*map(int, column.keys), *known]
    elif column.feature.type in ("number", "integer"):
        low, high = float(column.feature.minimum or 0), float(column.feature.maximum or 0)
        within = np.linspace(low, high, max(2, len(given) - 2))
        if column.feature.type == "integer":
            within = within.round()
        values = [*within.tolist(), given.min(), given.max()]
    else:
        return (~given.astype(bool)).tolist()
    return [values[place % len(values)] for place in range(len(given))]
