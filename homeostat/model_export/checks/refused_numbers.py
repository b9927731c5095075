"""Whole numbers that the rows lack and the original refuses: the served model fails for them; a category is refused by name."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from homeostat.model_export.checks.library_errors import first_line
from homeostat.model_export.columns import Column
from homeostat.model_export.source_model import SourceModel

_MAX_EXACT_INTEGER = 2.0**53


def refused_numbers(source: SourceModel, columns: Sequence[Column], frame: pd.DataFrame) -> list[str]:
    """A warning for each integer column of which the original refuses a value that the rows do not have.

    `frame`: rows that the original scores. An encoder of scikit-learn refuses by default what it was not fitted with, and an
    embedding of torch a number above its size; one such value is enough to see it.
    """
    found = []
    for column in columns:
        if column.feature.type != "integer" or pd.api.types.is_bool_dtype(frame[column.source].dtype):
            continue
        for value in _unseen(column, frame[column.source]):
            if refusal := _refusal(source, column, frame, value):
                found.append(_warning(column, value, refusal))
                break
    return found


def _warning(column: Column, value: int, refusal: str) -> str:
    refused = (
        f"the model fails for {value} in the column {column.source!r}, a whole number that the rows do not have "
        f"({refusal})"
    )
    if column.keys:
        return (
            f"{refused}; a request with it fails, or gets a score that was not compared: "
            "fit with texts as categories, so that other values are refused by name"
        )
    return (
        f"{refused}, and so does a request with it: fit the encoder with handle_unknown='ignore', or "
        "pass the column as text, so that other values are refused by name"
    )


def _unseen(column: Column, values: pd.Series[int]) -> Iterator[int]:
    """The first gap between the values seen, and both ends of the valid range, if they were not seen."""
    seen = np.union1d(values.dropna().astype("int64").to_numpy(), np.array(column.keys, dtype=np.int64))
    gaps = np.flatnonzero(np.diff(seen) > 1)
    if len(gaps):
        yield int(seen[gaps[0]]) + 1
    for end in (column.feature.minimum, column.feature.maximum):
        if end is not None and abs(end) < _MAX_EXACT_INTEGER and int(end) not in seen:
            yield int(end)


def _refusal(source: SourceModel, column: Column, frame: pd.DataFrame, value: int) -> str:
    """What the original says of a row with this value; empty if it scores it."""
    row = frame[frame[column.source].notna()].iloc[:1].copy()
    kind = frame[column.source].dtype
    if isinstance(kind, pd.CategoricalDtype):
        kind = pd.CategoricalDtype([*kind.categories, value], kind.ordered)
    try:
        row[column.source] = pd.Series([value], index=row.index).astype(kind)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            source.score(row)
    except (OverflowError, pd.errors.IntCastingNaNError):
        return ""  # the value does not fit into the column's type
    except Exception as error:  # whatever the library raises for values it refuses
        return first_line(error)
    return ""
