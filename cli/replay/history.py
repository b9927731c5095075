"""Reads history from a Parquet file: rows in event-time order, in batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cli.deployment.parquet_columns import time_column
from shared.errors import CallerError, ProjectError

# A file that is not in order is sorted in memory up to this size, uncompressed.
MAX_SORTED_BYTES = 1 << 30
_READ_ROWS = 8192
_TIMES = 1 << 16


@dataclass(frozen=True)
class Columns:
    """The columns that are read: the event time, the outcome (empty: none), and that of each of the model's inputs."""

    time: str
    outcome: str
    inputs: Mapping[str, str]

    @property
    def names(self) -> list[str]:
        """All of them, each once."""
        return list(
            dict.fromkeys([self.time, *([self.outcome] if self.outcome else []), *self.inputs.values()])
        )


@dataclass(frozen=True)
class HistoryRow:
    """One row: when it happened, its inputs, its outcome if that is known, and its place in the file, from 0."""

    event_time: datetime
    inputs: dict[str, Any]
    outcome: Any
    number: int = 0


class History:
    """The rows of a Parquet file. A file in event-time order is read in batches; any other is sorted in memory."""

    def __init__(
        self, path: Path, columns: Columns, now: datetime, *, max_sorted_bytes: int = MAX_SORTED_BYTES
    ) -> None:
        """Reads the column of times once. Raises `ProjectError` naming the column that is wrong or missing, `CallerError` if
        the file is not in order and too large to sort."""
        self._path, self._columns = path, columns
        self._file = open_parquet(path)
        has = self._file.schema_arrow.names
        for name, hint in (
            (columns.time, "name the column of event times with --time-column"),
            (columns.outcome, "name the column of outcomes with --outcome-column"),
            *((name, "it needs a column for each input of the model") for name in columns.inputs.values()),
        ):
            if name and name not in has:
                raise ProjectError(f"{path} has no column {name}; it has {', '.join(has)}", hint=hint)
        self.rows = int(self._file.metadata.num_rows)
        if self.rows == 0:
            raise ProjectError(f"{path} has no rows", hint="give a file with rows")
        self.is_sorted = self._check_times(now)
        size = sum(
            self._file.metadata.row_group(group).total_byte_size
            for group in range(self._file.metadata.num_row_groups)
        )
        if not self.is_sorted and size > max_sorted_bytes:
            raise CallerError(
                f"{path} is not in order of {columns.time}, and with {size >> 20} MiB too large to be sorted here",
                hint=f"write it sorted by {columns.time}: a sorted file is read in batches, whatever its size",
            )

    def __iter__(self) -> Iterator[HistoryRow]:
        names = self._columns.names
        if self.is_sorted:
            start = 0
            for batch in self._file.iter_batches(_READ_ROWS, columns=names):
                yield from self._rows_of(pa.Table.from_batches([batch]), range(start, start + len(batch)))
                start += len(batch)
            return
        table = self._file.read(columns=names)
        order = pc.sort_indices(table, [(self._columns.time, "ascending")])
        for start in range(0, table.num_rows, _READ_ROWS):
            numbers = order.slice(start, _READ_ROWS)
            yield from self._rows_of(table.take(numbers), numbers.to_pylist())

    def rows_before(self, moment: datetime) -> int:
        """Number of rows with an earlier event time."""
        name, earlier = self._columns.time, 0
        for batch in self._file.iter_batches(_TIMES, columns=[name]):
            times = batch.column(0).cast(pa.timestamp("us", "UTC"), safe=False)
            earlier += pc.sum(pc.less(times, pa.scalar(moment, times.type)), min_count=0).as_py()
        return earlier

    def _rows_of(self, table: pa.Table, numbers: Sequence[int]) -> Iterator[HistoryRow]:
        columns = self._columns
        times = table.column(columns.time).cast(pa.timestamp("us", "UTC"), safe=False).to_pylist()
        outcomes = table.column(columns.outcome).to_pylist() if columns.outcome else [None] * len(times)
        named = table.select(list(columns.inputs.values())).rename_columns(list(columns.inputs))
        inputs = _in_micros(named).to_pylist()
        for moment, row, outcome, number in zip(times, inputs, outcomes, numbers, strict=True):
            yield HistoryRow(moment, row, None if _is_missing(outcome) else outcome, number)

    def _check_times(self, now: datetime) -> bool:
        """Whether the file is in order. Raises `ProjectError` for a time that inference would refuse."""
        name, last, is_sorted = self._columns.time, None, True
        for batch in self._file.iter_batches(_TIMES, columns=[name]):
            times = time_column(
                self._path, pa.chunked_array([batch.column(0)]), now, name=name
            ).combine_chunks()
            if not len(times):
                continue
            first, newest = times[0].as_py(), times[-1].as_py()
            if last is not None and first < last:
                is_sorted = False
            is_sorted = is_sorted and pc.all(pc.less_equal(times[:-1], times[1:]), min_count=0).as_py()
            last = newest
        return is_sorted


def _is_missing(outcome: Any) -> bool:
    """Null or NaN; of a struct of several values: all of them."""
    parts = list(outcome.values()) if isinstance(outcome, dict) else [outcome]
    return all(part is None or part != part for part in parts)


def _in_micros(table: pa.Table) -> pa.Table:
    """Times to the microsecond, as Python has them."""
    for place, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            times = table.column(place).cast(pa.timestamp("us", field.type.tz), safe=False)
            table = table.set_column(place, field.name, times)
    return table


def open_parquet(path: Path) -> pq.ParquetFile:
    """The file. Raises `ProjectError`."""
    try:
        return pq.ParquetFile(path)
    except (OSError, pa.ArrowException) as error:
        raise ProjectError(
            f"{path} cannot be read as Parquet: {error}", hint="write it as a Parquet file"
        ) from error
