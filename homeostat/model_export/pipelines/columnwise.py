"""Trees after preprocessing, rewritten as trees of the raw columns.

Scalers, imputers and encoders compute each of their columns from one raw column. A split of such a column is a split of the raw
one: of a number, at the value where the prepared column crosses the threshold; of a category, by the set of values on the left.
Both are found by asking the fitted steps themselves, in float64, so no converter is needed and no rounding is added.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from homeostat.model_export.columns import Column
from homeostat.model_export.pipelines.preparation import NotColumnwise, Preparation, PreparedValues
from homeostat.model_export.prediction_kind import Floats
from homeostat.model_export.trees.ensemble import Ensemble, Node


def through_steps(steps: Any, ensemble: Ensemble, columns: Sequence[Column], rows: pd.DataFrame) -> Ensemble:
    """The ensemble with its splits on the raw columns. Raises NotColumnwise.

    1. Find which raw column each prepared column comes from.   2. Tabulate the categories, and numbers that are encoded.
    3. Find the thresholds of the other numbers.   4. Rewrite the splits.
    """
    if texts := [column.source for column in columns if column.feature.type == "text"]:
        raise NotColumnwise(f"prepared columns come from words of the text {texts[0]}")
    prepare = Preparation(steps, columns, rows, ensemble)
    used = sorted({node.column for tree in ensemble.trees for node in tree if node.column >= 0})
    sources = prepare.sources(used)
    tables: dict[int, PreparedValues] = {}
    crossings: dict[tuple[int, float], tuple[float, bool]] = {}
    missing: dict[int, Floats] = {}
    for raw in sorted(set(sources.values())):
        mine = [column for column in used if sources[column] == raw]
        splits = [node for tree in ensemble.trees for node in tree if node.column in mine]
        by_category = any(node.left_positions is not None for node in splits)
        gaps = any(map(ensemble.number_is_missing, mine))
        if by_category or gaps or not prepare.is_number(raw) or not prepare.is_monotonic(raw, mine):
            tables[raw] = prepare.tabulate(raw)
            continue
        thresholds = sorted({(node.column, node.threshold) for node in splits})
        crossings |= prepare.crossings(raw, thresholds, strict=ensemble.strict)
        if columns[raw].feature.nullable:
            missing[raw] = prepare.of(raw, [None])[0]

    def rewritten(node: Node) -> Node:
        if node.column < 0:
            return node
        raw = sources[node.column]
        if raw in tables:
            left = _left(node, ensemble, tables[raw].prepared[:, node.column])
            return replace(node, column=raw, left_positions=frozenset(np.flatnonzero(left).tolist()))
        crossing, rising = crossings[node.column, node.threshold]
        gone = node.missing_left
        if raw in missing:
            gone = bool(_left(node, ensemble, missing[raw][[node.column]])[0])
        if rising:
            return replace(node, column=raw, threshold=crossing, missing_left=gone)
        # Small values go right.
        return replace(
            node, column=raw, threshold=crossing, missing_left=not gone, left=node.right, right=node.left
        )

    return replace(
        ensemble,
        trees=tuple(tuple(map(rewritten, tree)) for tree in ensemble.trees),
        strict=False,
        float32=False,
        missing_number=None,
        categories={raw: values.table for raw, values in tables.items()},
    )


def _left(node: Node, ensemble: Ensemble, prepared: Floats) -> npt.NDArray[np.bool_]:
    """Which prepared values go left at the node."""
    if node.left_positions is not None:
        table = ensemble.tables()[node.column]
        places = {float(str(key)): place for place, key in enumerate(table.keys)}
        positions = [
            table.missing if value != value else places.get(value, table.unseen)
            for value in prepared.tolist()
        ]
        return np.array([position in node.left_positions for position in positions])
    below = prepared < node.threshold if ensemble.strict else prepared <= node.threshold
    return np.where(np.isnan(prepared), node.missing_left, below)
