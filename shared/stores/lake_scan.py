"""Reading time ranges from a Delta table: files and row groups are skipped by their statistics, then rows are filtered."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from shared.contracts.lake_schema import (
    FEATURE_PREFIX,
    OUTCOME_COLUMNS,
    OUTCOME_OPTIONAL_COLUMNS,
    PARTITION,
    PREDICTION_OPTIONAL_COLUMNS,
    TIMESTAMP,
    VALUE,
)
from shared.errors import NotFound

_STATISTICS_SLACK = timedelta(seconds=1)


def read_time_range(
    table: DeltaTable,
    time_column: str,
    start: datetime,
    end: datetime,
    columns: Sequence[str] | None,
    *,
    order: tuple[str, ...],
) -> pa.Table:
    """Rows with `time_column` in [start, end), sorted by `order`. Raises NotFound for an unknown column."""
    dataset = table.to_pyarrow_dataset(file_pruning_predicate=files_between(time_column, start, end))
    known = [name for name in dataset.schema.names if name != PARTITION]
    wanted = known if columns is None else list(columns)
    absent = [name for name in wanted if name not in known]
    unknown = [
        name
        for name in absent
        if not name.startswith(FEATURE_PREFIX) and name not in PREDICTION_OPTIONAL_COLUMNS.names
    ]
    if unknown:
        raise NotFound(f"the lake has no column {', '.join(unknown)}; it has {', '.join(known)}")
    condition = (pc.field(time_column) >= pa.scalar(start, TIMESTAMP)) & (
        pc.field(time_column) < pa.scalar(end, TIMESTAMP)
    )
    present = [name for name in wanted if name in known]
    rows = dataset.to_table(columns=list(dict.fromkeys([*present, *order])), filter=condition)
    for name in absent:
        rows = rows.append_column(_absent(name), pa.nulls(rows.num_rows, _absent(name).type))
    return rows.sort_by(ascending(order)).select(wanted)


def latest_outcomes(
    table: DeltaTable | None,
    since: datetime,
    known_until: datetime | None,
    *,
    order: tuple[str, ...],
    source: str = VALUE,
) -> pa.Table:
    """The last outcome of each prediction by `order`, among those observed in [since, known_until].

    The columns are prediction_id, outcome (the column `source`: see shared/models/answers.py), observed_at, and
    is_contradicted: whether another one of the same prediction differs from it.
    """
    columns = ["prediction_id", source, "observed_at"]
    names = ["prediction_id", "outcome", "observed_at"]
    if table is None:
        schema = pa.unify_schemas([OUTCOME_COLUMNS, OUTCOME_OPTIONAL_COLUMNS])
        found = empty_rows(schema, columns).rename_columns(names)
        return found.append_column("is_contradicted", pa.array([], pa.bool_()))
    condition = pc.field("observed_at") >= pa.scalar(since, TIMESTAMP)
    if known_until is not None:
        condition &= pc.field("observed_at") <= pa.scalar(known_until, TIMESTAMP)
    dataset = table.to_pyarrow_dataset(
        file_pruning_predicate=files_between("observed_at", since, known_until)
    )
    present = [name for name in columns if name in dataset.schema.names]
    received = dataset.to_table(columns=list(dict.fromkeys([*present, *order])), filter=condition)
    if source not in present:
        received = received.append_column(
            source, pa.nulls(received.num_rows, OUTCOME_OPTIONAL_COLUMNS.field(source).type)
        )
    received = received.sort_by(ascending(order))
    received = received.append_column("row", pa.array(range(received.num_rows), pa.int64()))
    last = received.group_by("prediction_id").aggregate([("row", "max"), ("row", "count")])
    repeated = last.filter(pc.greater(last["row_count"], 1))["prediction_id"]
    contradicted = pa.array(_contradicted(received, repeated, source), pa.string())
    found = received.select(columns).rename_columns(names).take(last["row_max"])
    return found.append_column("is_contradicted", pc.is_in(found["prediction_id"], value_set=contradicted))


def _contradicted(received: pa.Table, repeated: pa.ChunkedArray, source: str) -> list[str]:
    """Those of the `repeated` predictions whose outcomes are not all the same. Repeats are few, and values may be maps."""
    rows = received.filter(pc.is_in(received["prediction_id"], value_set=repeated.combine_chunks()))
    seen: dict[str, object] = {}
    found: dict[str, None] = {}
    for prediction_id, value in zip(rows["prediction_id"].to_pylist(), rows[source].to_pylist(), strict=True):
        if seen.setdefault(prediction_id, value) != value:
            found[prediction_id] = None
    return list(found)


def greatest(table: DeltaTable, column: str) -> Any:
    """The greatest value of a column by the statistics of the table's files; None where no file has any.

    Statistics of timestamps may be cut to milliseconds.
    """
    statistics = pa.table(table.get_add_actions(flatten=True))
    name = f"max.{column}"
    return pc.max(statistics[name]).as_py() if name in statistics.column_names else None


def files_between(time_column: str, start: datetime, end: datetime | None) -> str:
    """A predicate on files that may hold rows from `start` to `end`; opening a thousand small files takes seconds.

    Statistics may be cut to milliseconds, so a second is added on either side.
    """
    first = shifted(start, -_STATISTICS_SLACK).isoformat()
    condition = f"{time_column} >= '{first}'"
    if end is None:
        return condition
    return f"{condition} and {time_column} <= '{shifted(end, _STATISTICS_SLACK).isoformat()}'"


def shifted(time: datetime, by: timedelta) -> datetime:
    """`time` plus `by`, in UTC, limited to the years 1 to 9999: a lake may hold rows of any year."""
    try:
        return (time + by).astimezone(UTC)
    except OverflowError:
        return (datetime.min if by < timedelta(0) else datetime.max).replace(tzinfo=UTC)


def ascending(columns: tuple[str, ...]) -> list[tuple[str, str]]:
    """Sort keys for pyarrow: these columns, ascending."""
    return [(column, "ascending") for column in columns]


def empty_rows(schema: pa.Schema, columns: Sequence[str] | None) -> pa.Table:
    """A table without rows. Features are not known before the first row, so a requested feature becomes a null column."""
    if columns is None:
        return schema.empty_table()
    fields = [schema.field(name) if name in schema.names else _absent(name) for name in columns]
    return pa.schema(fields).empty_table()


def _absent(name: str) -> pa.Field:
    """A column that a table does not have yet: no row of it has such a value."""
    known = name in PREDICTION_OPTIONAL_COLUMNS.names
    return PREDICTION_OPTIONAL_COLUMNS.field(name) if known else pa.field(name, pa.null())
