"""The outcomes among the rows of an export: one column, or a number for each of several values. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from shared.errors import ExportRefused
from shared.models.feature_names import valid_names


@dataclass(frozen=True)
class OutcomeColumns:
    """`sources`: the columns that hold outcomes, and so are no features. `names`: of several values; empty: one per row.

    `values`: the outcomes, a column per name where there are names; None: the rows have none.
    """

    sources: tuple[str, ...]
    names: tuple[str, ...] = ()
    values: pd.Series[Any] | pd.DataFrame | None = None

    @property
    def single(self) -> pd.Series[Any] | None:
        """The column of a model with one outcome per row."""
        return self.values if isinstance(self.values, pd.Series) else None


def outcome_columns(rows: pd.DataFrame, outcome: str | Sequence[str]) -> OutcomeColumns:
    """The outcomes that `outcome` names: a column, a column of dictionaries (as Parquet's structs are read), or several columns.

    Raises ExportRefused if one of several columns is not there, if its name cannot be one in loop.yaml, if
    dictionaries have different names, or if no outcome is known.
    """
    if isinstance(outcome, str):
        return _of_one(rows, outcome)
    sources = tuple(outcome)
    missing = next((name for name in sources if name not in rows), None)
    if missing is not None:
        raise ExportRefused(
            f"the rows have no outcome column {missing!r}", hint=f"they have {', '.join(rows.columns)}"
        )
    if len(sources) < 2:
        raise ExportRefused(
            f"outcome= has {len(sources)} names",
            hint="give a text for one outcome per row, or two names or more",
        )
    for name, valid in valid_names(sources, reserved=()).items():
        if name != valid:
            raise ExportRefused(
                f"the outcome column {name!r} cannot be the name of a value: a name has letters, digits and _",
                hint=f'rename it, and give the new name: rows.rename(columns={{"{name}": "{valid}"}})',
            )
    return OutcomeColumns(sources, sources, rows[list(sources)])


def _of_one(rows: pd.DataFrame, name: str) -> OutcomeColumns:
    if name not in rows:
        return OutcomeColumns((name,))
    column = rows[name]
    if column.isna().all():
        raise ExportRefused(
            f"the outcome column {name!r} has no values", hint="pass rows with outcomes, or drop the column"
        )
    known = [value for value in column if isinstance(value, dict)]
    if not known:
        return OutcomeColumns((name,), (), column)
    names = tuple(map(str, known[0]))
    if any(tuple(map(str, value)) != names for value in known):
        raise ExportRefused(
            f"the outcome column {name!r} holds dictionaries with different names",
            hint="give every row a number for each name, or no dictionary",
        )
    table = [[value.get(one) if isinstance(value, dict) else None for one in names] for value in column]
    return OutcomeColumns((name,), names, pd.DataFrame(table, columns=list(names), index=rows.index))
