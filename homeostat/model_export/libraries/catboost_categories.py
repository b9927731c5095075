"""Categories of a CatBoost model: it keeps hashes of them and statistics, not the categories.

So the splits by category are found by asking the model: each tree's leaf number has one bit per split, and the bits for every
known category are the split. The hashes show whether the rows hold every category that the model knows.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from homeostat.model_export.columns import Column
from homeostat.model_export.probes import UNSEEN
from homeostat.model_export.trees.ensemble import CategoryTable
from shared.errors import ExportRefused

_MAX_KEYS = 2000
# CatBoost's CalcHash (catboost/libs/helpers/hash.h), with which it also combines the hashes of several categories.
_FACTOR = 0x4906BA494954CB65
_EMPTY = 2**64 - 1  # a slot of a hash map without an entry


class Categories:
    """The categories of the columns in `cat_features`. `content`: the model's JSON, written by `model_json`.

    `tables`: the categories of each such column, by its place. Raises ExportRefused for too many.
    """

    def __init__(
        self,
        model: Any,
        content: Mapping[str, Any],
        columns: Sequence[Column],
        rows: pd.DataFrame,
        *,
        named: bool,
    ) -> None:
        self._model, self._columns, self._rows, self._named = model, columns, rows, named
        self._info = content["features_info"].get("categorical_features") or ()
        self._statistics = content.get("ctr_data") or {}
        self._hashes = {
            one["value"]: int(one["hash"]) for one in content["features_info"].get("cat_features_hash") or ()
        }
        self.tables: dict[int, CategoryTable] = {}
        self._leaves: dict[int, Any] = {}
        for one in self._info:
            place = one["flat_feature_index"]
            keys = candidates(columns[place], rows)
            leaves = self._ask(place, keys)
            if columns[place].feature.type == "integer":
                # Whole numbers that the model does not know are unseen ones, and need no place in the table.
                kept = (leaves[: len(keys)] != leaves[-1]).any(axis=1)
                keys = [key for key, keep in zip(keys, kept, strict=True) if keep]
                leaves = leaves[np.append(kept, [True, True])]
            self.tables[place], self._leaves[place] = CategoryTable(tuple(keys)), leaves

    def positions_with_bit(self, column: int, tree: int, bit: int) -> frozenset[int]:
        """Positions of the column's categories for which that bit of the tree's leaf number is set."""
        return frozenset(np.flatnonzero(self._leaves[column][:, tree] >> bit & 1).tolist())

    def require_known(self) -> None:
        """Raises ExportRefused for a column of which the model knows more categories than the rows hold.

        They would be served as unseen ones.
        """
        for one in self._info:
            column = self._columns[one["flat_feature_index"]]
            texts = map(str, candidates(column, self._rows))
            held = {self._hashes[text] for text in texts if text in self._hashes}
            sets = [({value % 2**32 for value in one.get("values") or ()}, held)]
            combined = set(map(_combined, held))
            sets += [(known, combined) for known in self._known_statistics(one["feature_index"])]
            for known, keys in sets:
                if known - keys:
                    raise ExportRefused(
                        f"the model was fitted with {len(known)} categories of column {column.source!r}, and the rows have "
                        f"{len(known & keys)} of them: the others would be served as unseen categories",
                        hint=f"pass rows that hold every category of column {column.source!r}, such as the training rows",
                    )

    def _known_statistics(self, feature: int) -> list[set[int]]:
        """The hashes of each map of statistics that is about this feature alone."""
        found = []
        for name, data in self._statistics.items():
            elements = json.loads(name)["identifier"]
            if [one.get("cat_feature_index") for one in elements] == [feature]:
                found.append({int(one) for one in data["hash_map"][:: data["hash_stride"]]} - {_EMPTY})
        return found

    def _ask(self, place: int, keys: Sequence[Any]) -> Any:
        """The leaf number in each tree, for each of the keys and then for two unseen values."""
        column = self._columns[place]
        unseen = UNSEEN if column.feature.type == "category" else max(map(int, keys)) + 1
        values = [*keys, unseen, unseen]
        frame = self._rows.iloc[np.zeros(len(values), dtype=int)].reset_index(drop=True)
        frame = frame.astype({column.source: object})
        frame[column.source] = values
        return self._model.calc_leaf_indexes(_pool(self._model, frame, named=self._named))


def model_json(model: Any, columns: Sequence[Column], rows: pd.DataFrame, *, named: bool) -> dict[str, Any]:
    """The model as CatBoost writes it in JSON, with the hash of each category that the rows hold."""
    pool = None
    if places := model.get_cat_feature_indices():
        keys = {columns[place].source: candidates(columns[place], rows) for place in places}
        longest = max(map(len, keys.values()))
        frame = rows.iloc[np.zeros(longest, dtype=int)].reset_index(drop=True)
        frame = frame.astype(dict.fromkeys(keys, object))
        for source, known in keys.items():
            frame[source] = [known[number % len(known)] for number in range(longest)]
        pool = _pool(model, frame, named=named)
    with tempfile.TemporaryDirectory(prefix="homeostat-export-") as folder:
        path = Path(folder) / "model.json"
        model.save_model(str(path), format="json", pool=pool)
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def candidates(column: Column, rows: pd.DataFrame) -> list[Any]:
    """What may be a category of the column: its texts, or every whole number that a request may hold.

    Of many whole numbers those between the ends of the rows, or those of the rows. Raises ExportRefused for too many.
    """
    keys: list[Any] = list(column.keys)
    if not keys and column.feature.type in ("integer", "boolean"):
        keys = sorted(map(int, rows[column.source].unique()))
    if not 0 < len(keys) <= _MAX_KEYS:
        raise ExportRefused(
            f"column {column.source!r} has too many categories to export, or they are numbers with a fraction",
            hint="use at most 2000 texts or whole numbers as categories",
        )
    if column.feature.type == "integer":
        ends = [(min(keys), max(keys))]
        if column.feature.minimum is not None and column.feature.maximum is not None:
            ends.insert(0, (int(column.feature.minimum), int(column.feature.maximum)))
        for low, high in ends:
            if high - low < _MAX_KEYS:
                return list(range(low, high + 1))
    return keys


def _combined(value: int) -> int:
    """The hash that statistics of one category are kept under; the category's own is a signed number of 32 bits."""
    signed = value - 2**32 if value >= 2**31 else value
    return _FACTOR * (_FACTOR * signed % 2**64) % 2**64


def _pool(model: Any, frame: pd.DataFrame, *, named: bool) -> Any:
    from catboost import Pool

    return Pool(
        frame if named else frame.to_numpy(dtype=object), cat_features=model.get_cat_feature_indices()
    )
