"""The lake as it was when marks were taken, read from its newest version: rows stored later are left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable
from pyarrow import dataset as ds

from shared.errors import NotFound
from shared.stores.as_of.stream_marks import STREAM_COLUMNS, StreamMarks, stream_names
from shared.stores.lake import Lake


@dataclass(frozen=True)
class MarkedLake(Lake):
    """`open_at` of any version gives the newest one, with the rows up to `marks`."""

    marks: StreamMarks = field(default_factory=StreamMarks)

    def open_at(self, location: str, version: int | None) -> Any:
        """The table there, without rows that were stored later. Raises NotFound where the table is gone."""
        table = self.open(location)
        if table is None:
            raise NotFound(f"{location} has no rows any more", hint="restore the lake from a backup")
        of_outcomes = location.rpartition("/")[0].endswith("outcomes")
        return _MarkedTable(table, self.marks.outcomes if of_outcomes else self.marks.predictions)


class _MarkedTable:
    """What readers of time ranges use of a Delta table."""

    def __init__(self, table: DeltaTable, marks: Mapping[str, int]) -> None:
        self._table, self._marks = table, marks

    def schema(self) -> Any:
        return self._table.schema()

    def version(self) -> int:
        return self._table.version()

    def get_add_actions(self, *, flatten: bool) -> Any:
        return self._table.get_add_actions(flatten=flatten)

    def to_pyarrow_dataset(self, file_pruning_predicate: str | None = None) -> _MarkedDataset:
        return _MarkedDataset(
            self._table.to_pyarrow_dataset(file_pruning_predicate=file_pruning_predicate), self._marks
        )


class _MarkedDataset:
    """The rows of a dataset up to the marks."""

    def __init__(self, dataset: ds.Dataset, marks: Mapping[str, int]) -> None:
        self._dataset = dataset
        self._streams = pa.array(marks, pa.string())
        self._highest = pa.array(marks.values(), pa.int64())

    @property
    def schema(self) -> pa.Schema:
        return self._dataset.schema

    def to_table(self, columns: Sequence[str] | None = None, filter: pc.Expression | None = None) -> pa.Table:
        wanted = self.schema.names if columns is None else list(columns)
        read = list(dict.fromkeys([*wanted, *STREAM_COLUMNS]))
        return self._marked(self._dataset.to_table(columns=read, filter=filter)).select(wanted)

    def to_batches(
        self, columns: Sequence[str], filter: pc.Expression | None = None
    ) -> Iterator[pa.RecordBatch]:
        read = list(dict.fromkeys([*columns, *STREAM_COLUMNS]))
        for batch in self._dataset.to_batches(columns=read, filter=filter):
            yield from self._marked(pa.Table.from_batches([batch])).select(list(columns)).to_batches()

    def _marked(self, rows: pa.Table) -> pa.Table:
        highest = self._highest.take(pc.index_in(stream_names(rows), value_set=self._streams))
        return rows.filter(pc.fill_null(pc.less_equal(rows["sequence"], highest), False))
