"""Reading stretches of time from a Delta table: files and row groups by their statistics, the rest row by row."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from shared.contracts.lake_schema import FEATURE_PREFIX, PARTITION, TIMESTAMP
from shared.errors import NotFound

_STATISTICS_SLACK = timedelta(seconds=1)


def read_stretch(
    table: DeltaTable,
    time_column: str,
    start: datetime,
    end: datetime,
    columns: Sequence[str] | None,
    *,
    order: tuple[str, ...],
) -> pa.Table:
    """Rows of [start, end): files and row groups by their statistics, the rest row by row."""
    dataset = table.to_pyarrow_dataset(file_pruning_predicate=files_between(time_column, start, end))
    known = [name for name in dataset.schema.names if name != PARTITION]
    wanted = known if columns is None else list(columns)
    absent = [name for name in wanted if name not in known]
    unknown = [name for name in absent if not name.startswith(FEATURE_PREFIX)]
    if unknown:
        raise NotFound(f"the lake has no column {', '.join(unknown)}; it has {', '.join(known)}")
    condition = (pc.field(time_column) >= pa.scalar(start, TIMESTAMP)) & (
        pc.field(time_column) < pa.scalar(end, TIMESTAMP)
    )
    present = [name for name in wanted if name in known]
    rows = dataset.to_table(columns=list(dict.fromkeys([*present, *order])), filter=condition)
    for name in absent:
        rows = rows.append_column(name, pa.nulls(rows.num_rows))
    return rows.sort_by(ascending(order)).select(wanted)


def files_between(time_column: str, start: datetime, end: datetime | None) -> str:
    """A condition on files: which may hold rows from `start` to `end`. Opening a thousand small files takes seconds.

    Statistics may be cut to milliseconds, so a second is added on either side.
    """
    first = shifted(start, -_STATISTICS_SLACK).isoformat()
    condition = f"{time_column} >= '{first}'"
    if end is None:
        return condition
    return f"{condition} and {time_column} <= '{shifted(end, _STATISTICS_SLACK).isoformat()}'"


def shifted(moment: datetime, by: timedelta) -> datetime:
    """`moment` moved by `by`, in UTC; at the ends of the calendar it stays there: a lake may hold rows of any year."""
    try:
        return (moment + by).astimezone(UTC)
    except OverflowError:
        return (datetime.min if by < timedelta(0) else datetime.max).replace(tzinfo=UTC)


def ascending(columns: tuple[str, ...]) -> list[tuple[str, str]]:
    """The order by these columns, as pyarrow takes it."""
    return [(column, "ascending") for column in columns]


def empty_rows(schema: pa.Schema, columns: Sequence[str] | None) -> pa.Table:
    """No rows; features are not known before the first row, so any feature asked for is given as a null column."""
    if columns is None:
        return schema.empty_table()
    fields = [schema.field(name) if name in schema.names else pa.field(name, pa.null()) for name in columns]
    return pa.schema(fields).empty_table()
