"""Rows of a file as they are written there, and rows that are refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

READ_ROWS = 4096
# Column of what identifies a row beside its content, such as the event id of a capture; it is not stored.
IDENTITY = "prediction_id"


@dataclass(frozen=True)
class Refused:
    """A row that is not imported: the line of the file (the row, of Parquet; both from 1), the field, and what is wrong."""

    line: int
    field: str
    problem: str

    def text(self, path: Path) -> str:
        """For a person."""
        return f"{path}:{self.line}: {self.field + ': ' if self.field else ''}{self.problem}"


@dataclass(frozen=True)
class RawRows:
    """Some rows of a file: columns of any type, and the line of each row. `refused`: rows that could not be read at all."""

    columns: Mapping[str, pa.Array]
    lines: Sequence[int]
    refused: Sequence[Refused] = ()


def text_columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, pa.Array]:
    """Columns of text from rows of JSON values: lists and objects are JSON text; empty text is a missing value."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: pa.array([_text(row.get(name)) for row in rows], pa.string()) for name in names}


def _text(value: Any) -> str | None:
    if value is None or value == "":
        return None
    return value if isinstance(value, str) else orjson.dumps(value).decode()
