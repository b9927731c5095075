"""Rows of a Parquet file as checked batches, in the words of the checks of JSON rows."""

from __future__ import annotations

from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from services.inference.models.input_schema import Batch, Schema
from shared.contracts.event_time import check_event_time, parse_event_time
from shared.contracts.feature import Feature
from shared.errors import InvalidRequest, UnservableModel
from shared.models.feature_arrays import to_arrays

_READ_AT_ONCE = 1000
# Names and texts in a damaged file are no UTF-8.
_UNREADABLE = (pa.ArrowException, OSError, UnicodeDecodeError)


class ParquetRows:
    """A Parquet file, read in pieces."""

    def __init__(self, path: Path, *, maximum_rows: int) -> None:
        """Raises InvalidRequest where it is not Parquet, or has no rows or too many."""
        try:
            self._file = pq.ParquetFile(path)
            self.rows: int = self._file.metadata.num_rows
            self.columns = frozenset(self._file.schema_arrow.names)
        except _UNREADABLE as error:
            raise _unreadable(error) from error
        if not 0 < self.rows <= maximum_rows:
            raise InvalidRequest(
                f"`file` has {self.rows} rows",
                field="file",
                expected=f"1 to {maximum_rows} rows",
                status=413 if self.rows else 422,
            )

    def tables(self, names: frozenset[str]) -> Generator[pa.Table, None, None]:
        """These columns of consecutive rows; close it before the file. Raises InvalidRequest."""
        try:
            for batch in self._file.iter_batches(_READ_AT_ONCE, columns=sorted(names & self.columns)):
                yield pa.Table.from_batches([batch])
        except _UNREADABLE as error:
            raise _unreadable(error) from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def to_batch(schema: Schema, table: pa.Table, *, first_row: int) -> Batch:
    """Checked rows. Columns that are no features are left out. Raises InvalidRequest with the row's number in the file."""
    try:
        tensors = {feature.name: _values(feature, table) for feature in schema.features}
        return schema.batch_of_tensors(tensors, table.num_rows)
    except InvalidRequest as error:
        if error.row is None:
            raise
        row = error.row + first_row
        message = error.message.replace(f"of row {error.row} ", f"of row {row} ", 1)
        raise InvalidRequest(
            message,
            field=error.field,
            expected=error.expected,
            row=row,
            status=error.status,
            hint=error.hint,
        ) from error


def event_times(table: pa.Table, name: str, *, first_row: int) -> list[datetime]:
    """The event time of each row. Raises InvalidRequest."""
    if name not in table.column_names:
        raise InvalidRequest(
            f"`file` has no column {name!r}",
            field="event_time_column",
            expected="a column of the file with a time per row",
        )
    now = datetime.now(UTC)
    known: dict[Any, datetime] = {}
    found = []
    for row, value in enumerate(table[name].to_pylist(), first_row):
        if value not in known:
            if isinstance(value, datetime) and value.tzinfo is not None:
                known[value] = check_event_time(value.astimezone(UTC), now, field=name, row=row)
            else:
                text = value.isoformat() if isinstance(value, datetime) else value
                known[value] = parse_event_time(text, now, field=name, row=row)
        found.append(known[value])
    return found


def _values(feature: Feature, table: pa.Table) -> Any:
    if feature.name not in table.column_names:
        if feature.nullable:
            return [None] * table.num_rows
        raise InvalidRequest(
            f"`file` has no column {feature.name!r}",
            field=feature.name,
            expected=f"a column of type {feature.type}",
        )
    column = table[feature.name]
    if feature.type == "tensor":
        try:
            return to_arrays([feature], table)[feature.name]
        except UnservableModel as error:
            raise InvalidRequest(
                error.message, field=feature.name, expected=f"lists of shape {list(feature.shape)}"
            ) from error
    if feature.type == "timestamp":
        return [value.isoformat() if isinstance(value, datetime) else value for value in column.to_pylist()]
    if feature.nullable and pa.types.is_floating(column.type):
        # Data frames write missing numbers as NaN.
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    try:
        return column.to_pylist()
    except _UNREADABLE as error:  # of a text
        raise _unreadable(error) from error


def _unreadable(error: Exception) -> InvalidRequest:
    return InvalidRequest(
        f"`file` cannot be read: {str(error)[:200]}", field="file", expected="a Parquet file", status=400
    )
