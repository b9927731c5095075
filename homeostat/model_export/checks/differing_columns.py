"""Finds the columns that a refused export gets wrong: the difference from the original changes with them alone."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from homeostat.model_export.columns import Column
from homeostat.model_export.comparison import Comparison
from homeostat.model_export.prediction_kind import Floats

_MAX_ROWS = 30
_MAX_NAMED = 3
_MAX_COLUMNS = 200
# What float32 may change, relative to the scores.
_ROUNDING = 1e-5
# Of most rows a difference is no rounding, and a larger tolerance would hide a wrong step.
_MAJORITY = 0.5
_ACCEPT = "the rows above show where; if that is acceptable, export in Python with a larger tolerance= or allowed_share="
_REPLACE = "replace it by one that docs/what-fits.md lists, or compute its result in the rows before fitting"
Score = Callable[[pd.DataFrame], Floats]


def difference_hint(
    refused: Sequence[Comparison],
    columns: Sequence[Column],
    frame: pd.DataFrame,
    *,
    original: Score,
    exported: Score,
) -> str:
    """What to do about the refused comparisons: of a few rows to accept them, of most rows which column's step to replace."""
    if not any(one.differing > _MAJORITY * one.rows for one in refused):
        return _ACCEPT
    found = differing_columns(columns, frame, original=original, exported=exported)
    if not found:
        return f"the estimator's conversion is not exact, whatever the columns hold: {_REPLACE}"
    listed = ", ".join(map(repr, found))
    kept = "the column" if len(found) == 1 else "the columns"
    return f"the difference changes with {kept} {listed}: the conversion of the step that reads it is not exact; {_REPLACE}"


def differing_columns(
    columns: Sequence[Column], frame: pd.DataFrame, *, original: Score, exported: Score
) -> list[str]:
    """The columns whose values change the difference most, beginning with the first one; at most three.

    Each is given other rows' values, and no values where it may have none, in copies of the first row. `original`, `exported`:
    scores of rows.
    """
    picked = frame.iloc[np.unique(np.linspace(0, len(frame) - 1, _MAX_ROWS).astype(int))]
    effects: dict[str, float] = {}
    for column in columns[:_MAX_COLUMNS]:
        changed = frame.iloc[np.zeros(len(picked) + 1, dtype=int)].reset_index(drop=True)
        values = [frame[column.source].iloc[:1], picked[column.source]]
        changed[column.source] = pd.concat(values, ignore_index=True).astype(frame[column.source].dtype)
        effects[column.source] = _effect(changed, original, exported)
    largest = max(effects.values(), default=0.0)
    if not largest:
        return []
    order = sorted(effects, key=lambda name: -effects[name])
    return [name for name in order if effects[name] >= largest / 2][:_MAX_NAMED]


def _effect(rows: pd.DataFrame, original: Score, exported: Score) -> float:
    """How much the differences of the first row and of another one differ; infinite where the exported model fails."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            expected = original(rows)
        except Exception:  # whatever a library raises for values it refuses
            return 0.0
        try:
            distance = (exported(rows) - expected).reshape(len(rows), -1)
        except Exception:  # onnxruntime's errors have no common base
            return np.inf
    moved = np.abs(distance - distance[:1])
    largest = float(np.where(np.isfinite(moved), moved, np.inf).max())
    return largest if largest > _ROUNDING * max(1.0, float(np.abs(expected).max())) else 0.0
