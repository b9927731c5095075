"""Thresholds of trees after steps that mix columns, for rows that are rounded to float32 before the steps see them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from homeostat.model_export.prediction_kind import Floats
from homeostat.model_export.trees.ensemble import Ensemble, Node

# The rows beside a threshold whose errors say how large one is there.
_BESIDE = 10
_SAFETY = 2.0
# What nodes in float32 add, as scalers of skl2onnx have them, relative to the value.
_NODES = 8 * 2.0**-24


def for_rounded_rows(
    ensemble: Ensemble, steps: Any, rows: pd.DataFrame, given: Callable[[pd.DataFrame], Any]
) -> Ensemble:
    """The ensemble for what the steps make of rows that are rounded to float32, computed in float64.

    A threshold that is one of the prepared values, or close to one, is moved by twice the error of the rows beside it, so that
    these stay on their side. `given`: the rows as the steps take them.
    """
    rounded = rows.assign(
        **{
            str(name): rows[name].astype(np.float32).astype(np.float64)
            for name in rows.columns
            if rows[name].dtype == np.float64
        }
    )
    used = sorted(
        {
            node.column
            for tree in ensemble.trees
            for node in tree
            if node.column >= 0 and node.left_positions is None
        }
    )
    exact, moved = (_columns(steps.transform(given(one)), used) for one in (rows, rounded))
    errors = np.abs(moved - exact)
    if not np.nansum(errors):
        return ensemble
    errors += np.where(errors > 0, _NODES * np.abs(exact), 0.0)
    order = np.argsort(exact, axis=0)
    exact, errors = (np.take_along_axis(one, order, axis=0) for one in (exact, errors))
    known = {
        column: (exact[seen, place], errors[seen, place])
        for place, column in enumerate(used)
        for seen in [np.isfinite(exact[:, place]) & np.isfinite(errors[:, place])]
    }

    @cache
    def threshold(column: int, value: float) -> float:
        last = last_on_left(value, strict=ensemble.strict, float32=ensemble.float32)
        return apart(last, *known[column])

    def rewritten(node: Node) -> Node:
        if node.column < 0 or node.left_positions is not None:
            return node
        return replace(node, threshold=threshold(node.column, node.threshold))

    trees = tuple(tuple(map(rewritten, tree)) for tree in ensemble.trees)
    return replace(ensemble, trees=trees, strict=False, float32=False)


def last_on_left(threshold: float, *, strict: bool, float32: bool) -> float:
    """The largest float64 that goes left at a split of <= (`strict`: <) of numbers rounded to float32, if `float32`.

    >>> last_on_left(1.0, strict=True, float32=False) == np.nextafter(1.0, 0.0)
    True
    >>> last_on_left(1.0, strict=False, float32=True) == 1.0 + 2.0**-24
    True
    """
    if not np.isfinite(threshold):
        return threshold
    if not float32:
        return float(np.nextafter(threshold, -np.inf)) if strict else threshold
    left = np.float32(threshold)
    if float(left) > threshold or (strict and float(left) == threshold):
        left = np.nextafter(left, np.float32(-np.inf))
    right = np.nextafter(left, np.float32(np.inf))
    if not (np.isfinite(left) and np.isfinite(right)):
        return threshold
    middle = (float(left) + float(right)) / 2
    # A number in the middle is rounded to the one whose last bit is 0.
    return float(np.nextafter(middle, -np.inf)) if left.view(np.int32) & 1 else middle


def apart(threshold: float, values: Floats, errors: Floats) -> float:
    """The threshold, moved as little as needed: no value, ascending, is closer to it than twice the largest error beside it."""
    place = int(np.searchsorted(values, threshold, side="right"))
    near = errors[max(0, place - _BESIDE) : place + _BESIDE]
    margin = _SAFETY * float(near.max(initial=0.0))
    below = float(values[place - 1]) if place else -np.inf
    above = float(values[place]) if place < len(values) else np.inf
    if above - below <= 2 * margin:
        return below + (above - below) / 2
    return float(min(max(threshold, below + margin), above - margin))


def _columns(made: Any, used: list[int]) -> Floats:
    wide = made.tocsc()[:, used].toarray() if hasattr(made, "tocoo") else np.asarray(made)[:, used]
    return np.asarray(wide, dtype=np.float64)
