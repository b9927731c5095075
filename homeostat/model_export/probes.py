"""Rows that the original and the export are compared on beside the given ones: values that training did not see. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from homeostat.model_export.columns import Column, missing_value
from homeostat.model_export.tensors import tensor_values
from homeostat.model_export.text.text_probes import DOTTED_I, DOTTED_I_ADVICE, dotted, unlike

MAX_ROWS = 50
UNSEEN = "homeostat_unseen"
UNSEEN_CATEGORIES = "unseen categories"
_INT64 = 2.0**62
# Of each column of whole numbers at most 40 rows, as of values beyond the range.
_MAX_GAPS = 10
_ROWS_PER_VALUE = 2


@dataclass(frozen=True)
class Probe:
    """Rows of one sort; `changed` names the column that was changed in each row.

    `advice`: what to do about rows of this sort that differ, where that is a known limit; else empty.
    """

    name: str
    rows: pd.DataFrame
    changed: tuple[str, ...]
    advice: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that were changed, each once."""
        return tuple(dict.fromkeys(self.changed))

    def of(self, columns: Collection[str]) -> Probe:
        """The rows in which one of the columns was changed."""
        kept = np.array([one in columns for one in self.changed], dtype=bool)
        changed = tuple(one for one in self.changed if one in columns)
        return replace(self, rows=self.rows[kept].reset_index(drop=True), changed=changed)


def make_probes(columns: Sequence[Column], rows: pd.DataFrame) -> Iterator[Probe]:
    """Values beyond the range, values that the rows lack, unseen categories, other texts, missing values.

    Each is in copies of some of the rows, one column at a time.
    """
    picked = rows.iloc[np.unique(np.linspace(0, len(rows) - 1, min(MAX_ROWS, len(rows))).astype(int))]
    yield from _collect(
        "values beyond the range", [part for column in columns for part in _beyond(column, picked, rows)]
    )
    yield from _collect(
        "values that the rows lack", [part for column in columns for part in _within(column, picked, rows)]
    )
    yield from _collect(UNSEEN_CATEGORIES, [_unseen(column, picked) for column in columns if column.keys])
    texts = [column for column in columns if column.feature.type == "text"]
    yield from _collect("other texts", [_texts(column, picked, unlike) for column in texts])
    yield from _collect(
        f"texts with {DOTTED_I}", [_texts(column, picked, dotted) for column in texts], advice=DOTTED_I_ADVICE
    )
    yield from _collect(
        "missing values", [_missing(column, picked) for column in columns if column.feature.nullable]
    )


def _collect(name: str, parts: list[tuple[str, pd.DataFrame]], *, advice: str = "") -> Iterator[Probe]:
    if not parts:
        return
    changed = tuple(source for source, part in parts for _ in range(len(part)))
    together = pd.concat([part for _, part in parts], ignore_index=True)
    for source, part in parts:
        # Parts whose categories differ would become a column of objects.
        if isinstance(part[source].dtype, pd.CategoricalDtype):
            together[source] = together[source].astype(part[source].dtype)
    yield Probe(name, together, changed, advice)


def _is_number(column: Column, rows: pd.DataFrame) -> bool:
    # A boolean with missing values is served as an integer, and has no values beyond.
    return (
        column.feature.type in ("number", "integer")
        and not column.keys
        and not pd.api.types.is_bool_dtype(rows[column.source].dtype)
    )


def _within(column: Column, picked: pd.DataFrame, rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Values that the model may know and the rows lack: whole numbers, the other boolean, categories of the fit."""
    given = picked[column.source]
    if pd.api.types.is_bool_dtype(given.dtype):
        yield column.source, picked.assign(**{column.source: ~given})
        return
    if column.feature.type == "integer" and _is_number(column, rows):
        between: Sequence[Any] = _between(rows[column.source])
        kind = _wide(given.dtype)
    else:
        seen = set(rows[column.source].dropna()) if column.keys else set()
        between = [key for key in column.keys if key not in seen][:MAX_ROWS]
        kind = given.dtype
    places = np.arange(len(between) * _ROWS_PER_VALUE)
    if len(places):
        # Each value in rows that are apart.
        changed = picked.iloc[places * 7 % len(picked)].copy()
        values = [between[int(place) // _ROWS_PER_VALUE] for place in places]
        changed[column.source] = pd.Series(values, index=changed.index).astype(kind)
        yield column.source, changed


def _between(values: pd.Series[Any]) -> list[float]:
    """A whole number of each of the widest gaps between those given, and of some others."""
    seen = np.unique(values.dropna().astype("float64"))
    widths = np.diff(seen)
    places = np.flatnonzero(widths > 1)
    if len(places) > 2 * _MAX_GAPS:
        widest = places[np.argsort(-widths[places], kind="stable")[:_MAX_GAPS]]
        spread = places[np.linspace(0, len(places) - 1, _MAX_GAPS).astype(int)]
        places = np.unique([*widest, *spread])
    return [float(seen[place] + np.floor(widths[place] / 2)) for place in places]


def _beyond(column: Column, picked: pd.DataFrame, rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    if column.feature.type == "tensor":
        yield from _tensors(column, picked)
    if not _is_number(column, rows):
        return
    values = rows[column.source].dropna().astype("float64")
    low, high = float(values.min()), float(values.max())
    spread = (high - low) or abs(high) or 1.0
    few = picked.iloc[:: max(1, len(picked) // 10)]
    for value in (low - spread, high + spread, low - 1000 * spread, high + 1000 * spread):
        if column.feature.type == "integer":
            value = float(np.clip(np.round(value), -_INT64, _INT64))
        changed = few.copy()
        # The dtype stays: an integer column remains one.
        changed[column.source] = pd.Series(value, index=few.index).astype(_wide(few[column.source].dtype))
        yield column.source, changed


def _tensors(column: Column, picked: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Tensors of zeros, of larger and of negative numbers, and with their numbers in another order."""
    few = picked.iloc[:: max(1, len(picked) // 10)]
    values = tensor_values(few[column.source])
    turned = values.reshape(len(values), -1)[:, ::-1].reshape(values.shape)
    for tensors in (np.zeros_like(values), 10 * values + 1, -values, turned):
        changed = few.copy()
        changed[column.source] = pd.Series(list(tensors), index=few.index)
        yield column.source, changed


def _wide(kind: Any) -> Any:
    # A value beyond the range may not fit into int8 or float16.
    if isinstance(kind, np.dtype) and kind.kind in "iu":
        return "int64"
    if isinstance(kind, np.dtype) and kind.kind == "f":
        return "float64" if kind.itemsize == 8 else "float32"
    return kind


def _unseen(column: Column, picked: pd.DataFrame) -> tuple[str, pd.DataFrame]:
    unseen: str | int = UNSEEN if column.feature.type == "category" else max(map(int, column.keys)) + 1
    changed = picked.copy()
    values = pd.Series(unseen, index=picked.index)
    kind = picked[column.source].dtype
    if isinstance(kind, pd.CategoricalDtype):
        changed[column.source] = values.astype(pd.CategoricalDtype([*kind.categories, unseen], kind.ordered))
    else:
        changed[column.source] = values.astype(kind)
    return column.source, changed


def _texts(
    column: Column, picked: pd.DataFrame, rewritten: Callable[[Sequence[str]], Iterator[str]]
) -> tuple[str, pd.DataFrame]:
    texts = list(rewritten(picked[column.source].dropna().tolist()))
    changed = picked.iloc[np.arange(len(texts)) % len(picked)].copy()
    changed[column.source] = texts
    return column.source, changed


def _missing(column: Column, picked: pd.DataFrame) -> tuple[str, pd.DataFrame]:
    changed = picked.copy()
    gone = [missing_value(picked[column.source])] * len(picked)
    changed[column.source] = pd.Series(gone, index=picked.index, dtype=object).astype(
        picked[column.source].dtype
    )
    return column.source, changed
