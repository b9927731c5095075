"""Long time ranges are read and written in blocks, so that memory does not grow with the rows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import DeltaTable

from shared.contracts.lake_schema import ID_HOUR, TIMESTAMP

# Some 30 MB of a dozen features, joined.
BLOCK_ROWS = 50_000
_HOUR_MICROS = 3_600_000_000
_START = datetime(1970, 1, 1, tzinfo=UTC)

Block = tuple[datetime, datetime]


def blocks_between(
    predictions: DeltaTable | None, outcomes: DeltaTable | None, start: datetime, end: datetime
) -> list[Block]:
    """Intervals [from, until) of event time that follow one another from `start` to `end`, of whole hours and about
    BLOCK_ROWS predictions each. One interval where outcomes cannot be found by the hour of their prediction."""
    hours = 0 if outcomes is None else _id_hours_spanned(outcomes)
    if predictions is None or hours == 0:
        return [(start, end)]
    time = pc.field("event_time")
    between = (time >= pa.scalar(start, TIMESTAMP)) & (time < pa.scalar(end, TIMESTAMP))
    counts: dict[int, int] = {}
    for batch in predictions.to_pyarrow_dataset().to_batches(columns=["event_time"], filter=between):
        places = batch["event_time"].cast(pa.int64()).to_numpy() // _HOUR_MICROS
        for hour, count in zip(*np.unique(places, return_counts=True), strict=True):
            counts[int(hour)] = counts.get(int(hour), 0) + int(count)
    # Outcomes of the same hour of ids, as after a fast replay of the past, are read with every block.
    size = max(BLOCK_ROWS, sum(counts.values()) // hours)
    return list(_blocks(sorted(counts.items()), size, start, end))


def _id_hours_spanned(outcomes: DeltaTable) -> int:
    """Hours from the first to the last one of outcomes' ids, by the statistics of the table's files; 0 where there are none."""
    statistics = pa.table(outcomes.get_add_actions(flatten=True))
    if f"min.{ID_HOUR}" not in statistics.column_names:
        return 0
    first, last = pc.min(statistics[f"min.{ID_HOUR}"]).as_py(), pc.max(statistics[f"max.{ID_HOUR}"]).as_py()
    return 0 if first is None or last is None else int((last - first) / timedelta(hours=1)) + 1


def _blocks(counts: list[tuple[int, int]], size: int, start: datetime, end: datetime) -> Iterator[Block]:
    rows = 0
    for hour, count in counts:
        rows += count
        edge = _START + timedelta(hours=hour + 1)
        if rows >= size and start < edge < end:
            yield start, edge
            start, rows = edge, 0
    yield start, end


class RowFile:
    """A Parquet file that rows are appended to, block by block.

    Its bytes depend on the rows alone, not on the blocks: row groups have BLOCK_ROWS rows, whatever is appended at once.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: pq.ParquetWriter | None = None
        self._waiting: list[pa.Table] = []
        self.rows = 0

    def append(self, rows: pa.Table) -> None:
        """Add rows; the first call gives the columns."""
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._path, rows.schema, compression="zstd", compression_level=1)
        self._waiting.append(rows.cast(self._writer.schema))
        self.rows += rows.num_rows
        if sum(part.num_rows for part in self._waiting) >= BLOCK_ROWS:
            self._write(whole=True)

    def close(self) -> None:
        """Complete the file."""
        if self._writer is not None:
            self._write(whole=False)
            self._writer.close()

    def _write(self, *, whole: bool) -> None:
        """Write what waits as row groups; if `whole`, only those that are complete."""
        assert self._writer is not None
        rows = pa.concat_tables(self._waiting)
        count = rows.num_rows - rows.num_rows % BLOCK_ROWS if whole else rows.num_rows
        for start in range(0, count, BLOCK_ROWS):
            # Pages end where chunks end: one chunk a column.
            group = rows.slice(start, min(BLOCK_ROWS, count - start)).combine_chunks()
            self._writer.write_table(group, row_group_size=BLOCK_ROWS)
        self._waiting = [rows.slice(count)]


def copy_last_rows(source: Path, target: Path, last: int, kept: pa.ChunkedArray | None = None) -> int:
    """Copy the last rows of a file, `last` at most, of those that are true in `kept`; returns how many."""
    file = pq.ParquetFile(source)
    total = file.metadata.num_rows if kept is None else int(pc.sum(kept).as_py() or 0)
    skipped, first, copied = max(0, total - last), 0, RowFile(target)
    # Not `iter_batches`, whose memory grows with the row groups that it has read.
    for place in range(file.num_row_groups):
        rows = file.read_row_group(place, use_threads=False)
        if kept is not None:
            wanted = kept.slice(first, rows.num_rows).combine_chunks()
            first += rows.num_rows
            rows = rows.filter(wanted)
        left_out = min(skipped, rows.num_rows)
        skipped -= left_out
        copied.append(rows.slice(left_out))
    if not file.metadata.num_rows:
        copied.append(file.schema_arrow.empty_table())
    copied.close()
    return copied.rows


def first_and_last(path: Path, column: str) -> tuple[Any, Any] | None:
    """The values of a column in the first and the last row of a file; None where it has no rows."""
    file = pq.ParquetFile(path)
    groups = [place for place in range(file.num_row_groups) if file.metadata.row_group(place).num_rows]
    if not groups:
        return None
    ends = [file.read_row_group(place, columns=[column])[column] for place in (groups[0], groups[-1])]
    return ends[0][0].as_py(), ends[1][-1].as_py()
