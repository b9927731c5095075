"""Reading time ranges from a Delta table: files and row groups are skipped by their statistics, then rows are filtered."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from shared.contracts.feature import Feature
from shared.contracts.lake_schema import (
    AFTER_MONTHS,
    FEATURE_PREFIX,
    ID_HOUR,
    OUTCOME_COLUMNS,
    OUTCOME_OPTIONAL_COLUMNS,
    PARTITION,
    PREDICTION_OPTIONAL_COLUMNS,
    SENDER,
    TIMESTAMP,
    VALUE,
    feature_column,
)
from shared.errors import NotFound
from shared.stores.contradictions import senders_in_contradiction
from shared.stores.feature_columns import FeatureColumns, feature_columns, has_other_type, read_feature
from shared.stores.tables.id_hours import IdHours, read_outcomes_of

OTHER_TYPES = "has_other_types"
# An outcome is seldom observed before the event it is about; clocks that disagree are allowed this much.
CLOCK_SLACK = timedelta(days=1)
_STATISTICS_SLACK = timedelta(seconds=1)
_SENDERS = pa.list_(pa.string())


def read_time_range(
    table: DeltaTable,
    time_column: str,
    start: datetime,
    end: datetime,
    columns: Sequence[str] | None,
    *,
    order: tuple[str, ...],
    features: Sequence[Feature] = (),
    with_other_types: bool = False,
) -> pa.Table:
    """Rows with `time_column` in [start, end), sorted by `order`. Raises NotFound for an unknown column.

    `features` are read as one column each, of their type, whatever columns store them; `with_other_types` adds OTHER_TYPES:
    whether a row has a value of another type in one of them.
    """
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
    stored = [feature_columns(dataset.schema, feature) for feature in features]
    read = [*present, *order, *(name for columns_of in stored for name in columns_of.stored)]
    rows = dataset.to_table(columns=list(dict.fromkeys(read)), filter=condition)
    for name in absent:
        rows = rows.append_column(_absent(name), pa.nulls(rows.num_rows, _absent(name).type))
    rows = rows.sort_by(ascending(order))
    found = rows.select(wanted)
    for columns_of in stored:
        found = found.append_column(columns_of.name, read_feature(rows, columns_of))
    if with_other_types:
        found = found.append_column(OTHER_TYPES, _any_other_type(rows, stored))
    return found


def _any_other_type(rows: pa.Table, stored: Sequence[FeatureColumns]) -> pa.ChunkedArray:
    found = pa.chunked_array([pa.repeat(False, rows.num_rows)])
    for columns_of in stored:
        found = pc.or_(found, has_other_type(rows, columns_of))
    return found


def latest_outcomes(
    table: DeltaTable | None,
    since: datetime,
    known_until: datetime | None,
    *,
    order: tuple[str, ...],
    source: str = VALUE,
    hours: IdHours | None = None,
    excluded_senders: Sequence[str] = (),
) -> pa.Table:
    """The last outcome of each prediction by `order`, among those observed in [since, known_until] and not of `excluded_senders`.

    `hours`: outcomes of predictions with ids of other hours may be left out.

    The columns are prediction_id, outcome (the column `source`: see shared/models/answers.py), observed_at, and `senders`: null,
    or who sent the outcomes of the prediction where they are not all the same.
    """
    columns = ["prediction_id", source, "observed_at"]
    names = ["prediction_id", "outcome", "observed_at"]
    if table is None:
        schema = pa.unify_schemas([OUTCOME_COLUMNS, OUTCOME_OPTIONAL_COLUMNS])
        found = empty_rows(schema, columns).rename_columns(names)
        return found.append_column("senders", pa.array([], _SENDERS))
    condition = pc.field("observed_at") >= pa.scalar(since, TIMESTAMP)
    if known_until is not None:
        condition &= pc.field("observed_at") <= pa.scalar(known_until, TIMESTAMP)
    files = files_between("observed_at", since, known_until)
    stored = [field.name for field in table.schema().fields]
    wanted = list(dict.fromkeys([*columns, SENDER, *order]))
    present = [name for name in wanted if name in stored]
    if hours is not None and ID_HOUR in stored:
        received = read_outcomes_of(table, hours, condition, present, files)
    else:
        dataset = table.to_pyarrow_dataset(file_pruning_predicate=files)
        received = dataset.to_table(columns=present, filter=condition)
    for name in wanted:
        if name not in present:
            kind = OUTCOME_OPTIONAL_COLUMNS.field(name).type
            received = received.append_column(name, pa.nulls(received.num_rows, kind))
    if excluded_senders:
        is_excluded = pc.is_in(received[SENDER], value_set=pa.array(excluded_senders, pa.string()))
        received = received.filter(pc.invert(is_excluded))
    received = received.sort_by(ascending(order))
    received = received.append_column("row", pa.array(range(received.num_rows), pa.int64()))
    last = received.group_by("prediction_id").aggregate([("row", "max"), ("row", "count")])
    repeated = last.filter(pc.greater(last["row_count"], 1))["prediction_id"]
    contradicted = senders_in_contradiction(received, repeated, source)
    found = received.select(columns).rename_columns(names).take(last["row_max"])
    places = pc.index_in(found["prediction_id"], value_set=pa.array(contradicted, pa.string()))
    return found.append_column("senders", pa.array(contradicted.values(), _SENDERS).take(places))


def join_outcomes(
    predictions: pa.Table, latest: pa.Table, *, slack: timedelta, with_faults: bool
) -> pa.Table:
    """Predictions with `outcome` and `observed_at` from the table of latest_outcomes.

    An outcome observed more than `slack` before the event does not count. `with_faults` adds `is_early`, for such an outcome,
    and `senders`.
    """
    rows = pc.index_in(predictions["prediction_id"], value_set=latest["prediction_id"])
    earliest = pc.subtract(predictions["event_time"], pa.scalar(slack, pa.duration("us")))
    is_early = pc.fill_null(pc.less(latest["observed_at"].take(rows), earliest), False)
    rows = pc.if_else(is_early, None, rows)
    joined = predictions.append_column("outcome", latest["outcome"].take(rows))
    joined = joined.append_column("observed_at", latest["observed_at"].take(rows))
    if not with_faults:
        return joined
    joined = joined.append_column("is_early", is_early)
    return joined.append_column("senders", latest["senders"].take(rows))


def greatest(table: DeltaTable, column: str) -> Any:
    """The greatest value of a column by the statistics of the table's files; None where no file has any.

    Rows that are set aside or imported do not count. Statistics of timestamps may be cut to milliseconds.
    """
    statistics = pa.table(table.get_add_actions(flatten=True))
    name, partition = f"max.{column}", f"partition.{PARTITION}"
    if name not in statistics.column_names:
        return None
    values = statistics[name]
    if partition in statistics.column_names:
        values = values.filter(pc.less(statistics[partition].cast(pa.string()), AFTER_MONTHS))
    return pc.max(values).as_py()


def has_column(table: DeltaTable, column: str) -> bool:
    """Whether a row of the table was ever written with that column."""
    return any(field.name == column for field in table.schema().fields)


def in_stream() -> pc.Expression:
    """A filter that leaves out rows which are set aside or imported."""
    return pc.field(PARTITION) < AFTER_MONTHS


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


def empty_rows(
    schema: pa.Schema,
    columns: Sequence[str] | None,
    features: Sequence[Feature] = (),
    with_other_types: bool = False,
) -> pa.Table:
    """A table without rows. Features are not known before the first row, so a requested feature becomes a null column."""
    wanted = schema.names if columns is None else columns
    fields = [schema.field(name) if name in schema.names else _absent(name) for name in wanted]
    fields += [_absent(feature_column(feature.name)) for feature in features]
    fields += [pa.field(OTHER_TYPES, pa.bool_())] if with_other_types else []
    return pa.schema(fields).empty_table()


def _absent(name: str) -> pa.Field:
    """A column that a table does not have yet: no row of it has such a value."""
    known = name in PREDICTION_OPTIONAL_COLUMNS.names
    return PREDICTION_OPTIONAL_COLUMNS.field(name) if known else pa.field(name, pa.null())
