"""Rows of a CSV request, such as `DataFrame.to_csv()` writes it. Pure."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Callable, Sequence
from io import StringIO
from typing import Any

from services.inference.mlflow_scoring.json_rows import Row, check_columns
from shared.contracts.feature import Feature
from shared.errors import InvalidRequest
from shared.models.nullable_booleans import is_flag

# How pandas and others write a missing number.
_MISSING = frozenset({"", "nan", "na", "null", "none", "<na>"})
_INTEGER = re.compile(r"[+-]?\d{1,19}")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_BOOLEANS = {"true": True, "false": False}


def read_csv(body: bytes, features: Sequence[Feature]) -> list[Row]:
    """One object of feature names and values per row, by the types of the features. Raises InvalidRequest (400).

    A text that is no value of its feature stays text, for the feature's check to refuse. A first column without a name
    is the index of a data frame and left out.
    """
    try:
        reader = csv.reader(StringIO(body.decode("utf-8-sig"), newline=""), strict=True)
        columns = next(reader, [])
        lines = [line for line in reader if line]
    except (UnicodeDecodeError, csv.Error) as error:
        raise _bad(
            f"the body is not CSV: {error}", "UTF-8 text: a line of feature names, then one per row"
        ) from None
    start = 1 if columns[:1] == [""] else 0
    columns = columns[start:]
    check_columns(columns)
    known = {feature.name: _reader(feature) for feature in features}
    readers = [known.get(name, str) for name in columns]
    rows: list[Row] = []
    for place, line in enumerate(lines):
        cells = line[start:]
        if len(cells) != len(columns):
            raise _bad(f"row {place} has {len(cells)} values", f"{len(columns)}, one per column", place)
        rows.append({name: read(cell) for name, read, cell in zip(columns, readers, cells, strict=True)})
    return rows


def _reader(feature: Feature) -> Callable[[str], Any]:
    if feature.type == "number":
        return _number
    if is_flag(feature.type, feature.minimum, feature.maximum):
        return lambda cell: _BOOLEANS.get(cell.strip().lower(), _integer(cell))
    if feature.type == "integer":
        return _integer
    if feature.type == "boolean":
        return lambda cell: _BOOLEANS.get(cell.strip().lower(), cell)
    if feature.nullable and "" not in feature.values:
        return lambda cell: cell or None
    return str


def _number(cell: str) -> Any:
    text = cell.strip()
    if _NUMBER.fullmatch(text):
        number = float(text)
        return number if math.isfinite(number) else cell
    return None if text.lower() in _MISSING else cell


def _integer(cell: str) -> Any:
    text = cell.strip()
    return int(text) if _INTEGER.fullmatch(text) else _number(cell)


def _bad(problem: str, expected: str, row: int | None = None) -> InvalidRequest:
    return InvalidRequest(problem, field="body", expected=expected, row=row, status=400)
