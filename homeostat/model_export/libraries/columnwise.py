"""Trees after preprocessing, rewritten as trees of the raw columns.

Scalers, imputers and encoders compute each of their columns from one raw column. A split of such a column is a split of the raw
one: of a number, at the value where the prepared column crosses the threshold; of a category, by the set of values on the left.
Both are found by asking the fitted steps themselves, in float64, so no converter is needed and no rounding is added.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from homeostat.model_export.columns import Column
from homeostat.model_export.prediction_kind import Floats
from homeostat.model_export.probes import UNSEEN
from homeostat.model_export.text.vectorizers import parts
from homeostat.model_export.trees.ensemble import CategoryTable, Ensemble, Node

_ROWS = 200
_MOST_KEYS = 2000
_SPREADS = 2000.0
_BISECTIONS = 80


class NotColumnwise(Exception):
    """A prepared column depends on several raw ones, or on one in a way that trees cannot follow."""


@dataclass(frozen=True)
class _Values:
    """One raw column: the value at each position of its table, and what the steps make of it, [positions, prepared columns]."""

    table: CategoryTable
    prepared: Floats


def through_steps(steps: Any, ensemble: Ensemble, columns: Sequence[Column], rows: pd.DataFrame) -> Ensemble:
    """The ensemble with its splits on the raw columns. Raises NotColumnwise.

    1. Find which raw column each prepared column comes from.   2. Tabulate the categories, and numbers that are encoded.
    3. Find the thresholds of the other numbers.   4. Rewrite the splits.
    """
    if texts := [column.source for column in columns if column.feature.type == "text"]:
        raise NotColumnwise(f"prepared columns come from words of the text {texts[0]}")
    prepare = _Preparation(steps, columns, rows, ensemble)
    used = sorted({node.column for tree in ensemble.trees for node in tree if node.column >= 0})
    sources = prepare.sources(used)
    tables: dict[int, _Values] = {}
    crossings: dict[tuple[int, float], tuple[float, bool]] = {}
    missing: dict[int, Floats] = {}
    for raw in sorted(set(sources.values())):
        mine = [column for column in used if sources[column] == raw]
        splits = [node for tree in ensemble.trees for node in tree if node.column in mine]
        by_category = any(node.left_positions is not None for node in splits)
        if by_category or not prepare.is_number(raw) or not prepare.is_monotonic(raw, mine):
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
        categories={raw: values.table for raw, values in tables.items()},
    )


class _Preparation:
    """The fitted steps, asked about one raw column at a time; the others hold the values of the first row."""

    def __init__(self, steps: Any, columns: Sequence[Column], rows: pd.DataFrame, ensemble: Ensemble) -> None:
        self._steps = steps
        self._columns = columns
        self._rows = rows
        self._ensemble = ensemble
        self._named = hasattr(steps, "feature_names_in_")

    def is_number(self, raw: int) -> bool:
        return self._columns[raw].feature.type in ("number", "integer") and not self._columns[raw].keys

    def sources(self, used: Sequence[int]) -> dict[int, int]:
        """The raw column of each prepared column: changing any other one changes nothing."""
        picked = self._rows.iloc[np.unique(np.linspace(0, len(self._rows) - 1, _ROWS).astype(int))]
        plain = self._prepare(picked)
        found: dict[int, int] = {}
        for raw, column in enumerate(self._columns):
            changed = picked.copy()
            # Each row gets another row's value.
            changed[column.source] = picked[column.source].to_numpy()[::-1]
            changed[column.source] = changed[column.source].astype(picked[column.source].dtype)
            different = ~np.isclose(self._prepare(changed), plain, rtol=0, atol=0, equal_nan=True).all(axis=0)
            for place in np.flatnonzero(different):
                if int(place) in found:
                    raise NotColumnwise(f"prepared column {place} depends on several raw columns")
                found[int(place)] = raw
        if unknown := [column for column in used if column not in found]:
            raise NotColumnwise(f"prepared column {unknown[0]} does not change with any raw column")
        return found

    def is_monotonic(self, raw: int, prepared: Sequence[int]) -> bool:
        """Whether the prepared columns only rise, or only fall, with the raw number."""
        values = np.unique(self._rows[self._columns[raw].source].dropna().to_numpy(dtype=np.float64))
        low, high = self._range(raw)
        grid = [low, *values[:: max(1, len(values) // 500)], values[-1], high]
        steps = np.diff(self.of(raw, sorted(set(grid)))[:, list(prepared)], axis=0)
        return bool(((steps >= 0).all(axis=0) | (steps <= 0).all(axis=0)).all())

    def tabulate(self, raw: int) -> _Values:
        """The prepared columns for every known value, then for an unseen and for a missing one."""
        column = self._columns[raw]
        seen = self._rows[column.source].dropna().unique().tolist()
        if column.feature.type == "category":
            keys: list[Any] = list(dict.fromkeys([*column.keys, *self._known(str)]))
            unseen: Any = UNSEEN
        elif column.feature.type == "boolean":
            keys, unseen = [0, 1], 0
        elif column.feature.type == "integer":
            keys = sorted({*map(int, seen), *map(int, column.keys), *self._known(int)})
            unseen = keys[-1] + 1
        else:
            keys = []
        if not 0 < len(keys) <= _MOST_KEYS:
            raise NotColumnwise(f"column {column.source} has too many values for a table")
        prepared = self.of(raw, keys)
        width = prepared.shape[1]
        ends = [self._of_unknown(raw, unseen, width), self._of_unknown(raw, None, width)]
        return _Values(CategoryTable(tuple(keys)), np.vstack([prepared, *ends]))

    def crossings(
        self, raw: int, thresholds: Sequence[tuple[int, float]], *, strict: bool
    ) -> dict[tuple[int, float], tuple[float, bool]]:
        """For each threshold of a prepared column the largest raw value before it is crossed, and whether the column rises."""
        places = np.array([place for place, _ in thresholds])
        limits = np.array([limit for _, limit in thresholds])
        low, high = (np.full(len(limits), end) for end in self._range(raw))
        chosen = np.arange(len(limits)), places

        def on_left(values: Floats) -> npt.NDArray[np.bool_]:
            prepared = self.of(raw, values.tolist())[chosen]
            return np.asarray(prepared < limits if strict else prepared <= limits)

        first, last = self.of(raw, [low[0]])[0][places], self.of(raw, [high[0]])[0][places]
        rising = last >= first
        # Bisection keeps: `low` is on the first side, `high` is not.
        for _ in range(_BISECTIONS):
            middle = low + (high - low) / 2
            before = on_left(middle) == rising
            low, high = np.where(before, middle, low), np.where(before, high, middle)
        start, end = (np.full(len(limits), edge) for edge in self._range(raw))
        low = np.where(on_left(start) == rising, low, -np.inf)
        low = np.where(on_left(end) == rising, np.inf, low)
        return {
            threshold: (float(value), bool(up))
            for threshold, value, up in zip(thresholds, low, rising, strict=True)
        }

    def of(self, raw: int, values: Sequence[Any]) -> Floats:
        """The prepared columns for these values of one raw column."""
        column = self._columns[raw]
        frame = self._rows.iloc[np.zeros(len(values), dtype=int)].reset_index(drop=True)
        kind = self._rows[column.source].dtype
        if isinstance(kind, pd.CategoricalDtype):
            kind = pd.CategoricalDtype(
                list(dict.fromkeys([*kind.categories, *(v for v in values if v is not None)]))
            )
        elif self.is_number(raw) or (isinstance(kind, np.dtype) and kind.kind == "b" and None in values):
            kind = np.dtype(np.float64)
        frame[column.source] = pd.Series(list(values), index=frame.index, dtype=object).astype(kind)
        return self._prepare(frame)

    def _of_unknown(self, raw: int, value: Any, width: int) -> Floats:
        try:
            return self.of(raw, [value])
        except Exception:  # the steps refuse it; nothing is known of what would come
            return np.full((1, width), np.nan)

    def _prepare(self, frame: pd.DataFrame) -> Floats:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            made = self._steps.transform(frame if self._named else frame.to_numpy())
        wide: Floats
        if hasattr(made, "tocoo"):
            stored = made.tocoo()
            wide = np.full(made.shape, np.nan if self._ensemble.gaps_are_missing else 0.0)
            wide[stored.row, stored.col] = stored.data
        else:
            wide = np.asarray(made, dtype=np.float64)
        # The trees of these libraries see float32.
        return wide.astype(np.float32).astype(np.float64) if self._ensemble.float32 else wide

    def _range(self, raw: int) -> tuple[float, float]:
        values = self._rows[self._columns[raw].source].dropna().astype("float64")
        low, high = float(values.min()), float(values.max())
        spread = (high - low) or abs(high) or 1.0
        return low - _SPREADS * spread, high + _SPREADS * spread

    def _known(self, kind: type) -> Iterator[Any]:
        """Categories that any encoder of the steps was fitted with: those of other columns do no harm."""
        for encoder in parts(self._steps):
            for values in getattr(encoder, "categories_", ()):
                for value in np.asarray(values).tolist():
                    if isinstance(value, kind) and not isinstance(value, bool) and value != "":
                        yield value


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
