"""The time of a table's stream: read from the table, and applied to new rows, so that rows far off move no watermark.

Rows far ahead get the partition SET_ASIDE, and imported rows partitions of their own, which readers of watermarks leave out; all
other readers find them by their time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from shared.contracts.event_time import INSTANT
from shared.contracts.lake_schema import IMPORTED_PARTITION, PARTITION, SET_ASIDE
from shared.contracts.loop_spec import DEFAULT_BOUND
from shared.stores.lake_scan import files_between, greatest, in_stream
from shared.stores.stream_time import AHEAD, BEHIND, StreamTime, Times, mark_rows

# When a row of that time column arrived.
ARRIVAL = {"event_time": "answered_at", "observed_at": "received_at"}


@dataclass(frozen=True)
class FarOff:
    """Rows of a commit that are far from their stream; `example`: what the first of them is, for the log."""

    ahead: int = 0
    behind: int = 0
    example: str = ""

    def __add__(self, other: FarOff) -> FarOff:
        return FarOff(self.ahead + other.ahead, self.behind + other.behind, self.example or other.example)


def read_stream_time(table: DeltaTable, time_column: str) -> StreamTime:
    """The time of the table's newest row that is not set aside."""
    about = greatest(table, time_column)
    if about is None:
        return StreamTime()
    arrival = ARRIVAL[time_column]
    rows = table.to_pyarrow_dataset(file_pruning_predicate=files_between(time_column, about, None)).to_table(
        columns=[time_column, arrival], filter=in_stream()
    )
    if rows.num_rows == 0:
        return StreamTime()
    times = _micros(rows[time_column])
    place = int(np.argmax(times))
    newest = int(times[place])
    return StreamTime(newest, int(_micros(rows[arrival])[place]) - newest)


def with_partition(
    rows: pa.Table, time: StreamTime, time_column: str, bound: int | None
) -> tuple[pa.Table, StreamTime, FarOff]:
    """The rows with their partition, the stream's time after them, and which of them are far off."""
    times = _micros(rows[time_column])
    width = DEFAULT_BOUND // INSTANT if bound is None else bound
    marks, after = mark_rows(time, times, _micros(rows[ARRIVAL[time_column]]), width)
    months = pc.strftime(rows[time_column], "%Y-%m")
    far = np.flatnonzero(marks)
    if not far.size:
        return rows.append_column(PARTITION, months), after, FarOff()
    ahead = pa.array(marks == AHEAD)
    placed = rows.append_column(PARTITION, pc.if_else(ahead, SET_ASIDE, months))
    first = int(far[0])
    example = f"{rows['prediction_id'][first].as_py()} of {rows[time_column][first].as_py().isoformat()}"
    found = FarOff(int((marks == AHEAD).sum()), int((marks == BEHIND).sum()), example)
    return placed, after, found


def with_import_partition(rows: pa.Table, time_column: str) -> pa.Table:
    """Imported rows with their partition: a month each, apart from the months of the stream."""
    months = pc.strftime(rows[time_column], "%Y-%m")
    return rows.append_column(PARTITION, pc.binary_join_element_wise(IMPORTED_PARTITION, months, ""))


def _micros(times: pa.ChunkedArray) -> Times:
    micros: Times = times.cast(pa.int64()).to_numpy()
    return micros
