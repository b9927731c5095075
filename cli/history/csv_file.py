"""Rows of a CSV file whose first line names the columns (RFC 4180, UTF-8)."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cli.history.raw_rows import READ_ROWS, RawRows, Refused, text_columns
from shared.errors import ProjectError

# A field that is longer is an unclosed quote, which would read the rest of the file.
_FIELD_BYTES = 16 << 20


class CsvFile:
    """The rows of a CSV file, in batches. Raises ProjectError for a file without header."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with path.open(encoding="utf-8-sig", newline="", errors="replace") as file:
            self.names = [name.strip() for name in next(csv.reader(file), [])]
        if not any(self.names):
            raise ProjectError(f"{path} has no header", hint="the first line names the columns")
        repeated = next((name for name in self.names if self.names.count(name) > 1), None)
        if repeated is not None:
            raise ProjectError(f"{path}:1: column {repeated} appears twice", hint="rename one of them")

    def __iter__(self) -> Iterator[RawRows]:
        previous = csv.field_size_limit(_FIELD_BYTES)
        try:
            with self._path.open(encoding="utf-8-sig", newline="", errors="replace") as file:
                yield from self._batches(csv.reader(file, strict=True))
        finally:
            csv.field_size_limit(previous)

    def _batches(self, reader: Any) -> Iterator[RawRows]:
        next(reader)
        rows: list[dict[str, str]] = []
        lines: list[int] = []
        refused: list[Refused] = []
        line = reader.line_num + 1
        while True:
            try:
                fields = next(reader)
            except StopIteration:
                break
            except csv.Error as error:
                refused.append(Refused(line, "", f"cannot be read as CSV: {error}"))
                line = reader.line_num + 1
                continue
            if len(fields) == len(self.names):
                rows.append(dict(zip(self.names, fields, strict=True)))
                lines.append(line)
            elif fields:  # not an empty line
                refused.append(
                    Refused(line, "", f"has {len(fields)} fields, but the header {len(self.names)}")
                )
            line = reader.line_num + 1
            if len(rows) == READ_ROWS:
                yield RawRows(text_columns(rows), lines, refused)
                rows, lines, refused = [], [], []
        yield RawRows(text_columns(rows), lines, refused)
