"""Rows in the forms that people have them: one mapping, a list of them, or a data frame. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shared.errors import InvalidRequest

_EXPECTED = "a data frame, a list of dictionaries, or one dictionary of input names and values"

_BY_NAME = 'name the input of each value: client.predict({"message": "..."}); client.inputs() lists them'


def to_rows(given: Any) -> Sequence[Mapping[str, Any]]:
    """The rows as mappings. Takes a DataFrame of pandas or polars and an Arrow table, too. Raises InvalidRequest."""
    if isinstance(given, Mapping):
        return [given]
    if hasattr(given, "to_dicts"):  # polars
        given = given.to_dicts()
    elif hasattr(given, "to_pylist"):  # pyarrow
        given = given.to_pylist()
    elif hasattr(given, "to_dict") and hasattr(given, "columns"):  # pandas
        given = given.to_dict("records")
    if isinstance(given, str | bytes) or not hasattr(given, "__iter__"):
        raise InvalidRequest(f"`rows` is {repr(given)[:60]}", field="rows", expected=_EXPECTED, hint=_BY_NAME)
    if hasattr(given, "to_dict"):  # a Series of pandas: of its values the names would be lost
        raise InvalidRequest(
            f"`rows` is a {type(given).__name__}",
            field="rows",
            expected=_EXPECTED,
            hint="for one row call client.predict(row.to_dict()), for one column client.predict(column.to_frame())",
        )
    rows = list(given)
    if not rows:
        raise InvalidRequest("`rows` is empty", field="rows", expected="at least one row")
    for number, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise InvalidRequest(
                f"row {number} is {repr(row)[:60]}",
                field="rows",
                expected=_EXPECTED,
                row=number,
                hint=_BY_NAME,
            )
    return rows
