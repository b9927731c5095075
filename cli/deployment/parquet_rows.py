"""Reads and validates the Parquet files of `homeostat deploy`: rows with outcomes."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shared.contracts.event_time import check_event_time
from shared.contracts.loop_spec import Feature, LoopSpec, Prediction
from shared.contracts.outcome import expected_outcome, fitting
from shared.errors import InvalidRequest, ProjectError
from shared.models.classes import answer_columns, outcome_type
from shared.models.losses import Scores

MOST_REFERENCE_ROWS = 20_000
# The range of Python's datetime, in seconds since 1970.
_YEAR_1, _YEAR_9999 = -62_135_596_800, 253_402_300_799
MOMENT = pa.timestamp("us", tz="UTC")
TYPES: dict[str, pa.DataType | None] = {
    "number": pa.float64(),
    "integer": pa.int64(),
    "boolean": pa.bool_(),
    "category": pa.string(),
    "tensor": None,  # lists of any number type; the model check verifies the shape
}


def read_rows(path: Path, loop: LoopSpec, now: datetime) -> pa.Table:
    """The file's rows in time order: event_time (UTC), the features, outcome, prediction_id (empty if the file has none).

    Raises `ProjectError` naming the file and column where one is missing, is of another type, has a time out of bounds, or
    there are no rows.
    """
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise ProjectError(
            f"{path} cannot be read as Parquet: {error}", hint="write it as a Parquet file"
        ) from error
    if table.num_rows == 0:
        raise ProjectError(f"{path} has no rows", hint="give a file with rows and outcomes")
    wanted = ["event_time", *(feature.name for feature in loop.features), "outcome"]
    missing = [name for name in wanted if name not in table.column_names]
    if missing:
        raise ProjectError(
            f"{path} has no column {missing[0]}; it has {', '.join(table.column_names)}",
            hint="it needs event_time, outcome and one column per feature of loop.yaml",
        )
    columns = {name: table.column(name) for name in wanted}
    columns["event_time"] = _moments(path, columns["event_time"], now)
    columns["outcome"] = _outcomes(path, loop.prediction, columns["outcome"])
    for feature in loop.features:
        columns[feature.name] = _feature(path, feature, columns[feature.name])
    ids = table.column("prediction_id") if "prediction_id" in table.column_names else None
    columns["prediction_id"] = (
        _cast(path, "prediction_id", ids, pa.string()) if ids is not None else pa.array([""] * table.num_rows)
    )
    return pa.table(columns).sort_by("event_time")


def last_moment(table: pa.Table) -> str:
    """Event time of the newest row, ISO 8601."""
    return str(pc.max(table.column("event_time")).as_py().isoformat())


def newest(*tables: pa.Table) -> pa.Table:
    """The last rows of the concatenated tables, as many as a reference holds."""
    rows = pa.concat_tables(tables)
    return rows.slice(max(0, rows.num_rows - MOST_REFERENCE_ROWS)).combine_chunks()


def with_scores(table: pa.Table, loop: LoopSpec, scores: Scores) -> pa.Table:
    """The reference: the rows with the model's answers."""
    for name, column in answer_columns(loop.prediction, scores).items():
        table = table.append_column(name, column)
    return table


def _feature(path: Path, feature: Feature, column: pa.ChunkedArray) -> pa.ChunkedArray:
    if column.null_count and not feature.nullable:
        raise ProjectError(
            f"{path}: column {feature.name} has missing values",
            hint="fill them, or set `nullable: true` in loop.yaml",
        )
    kind = TYPES[feature.type]
    return column if kind is None else _cast(path, feature.name, column, kind)


def _moments(path: Path, column: pa.ChunkedArray, now: datetime) -> pa.ChunkedArray:
    if not pa.types.is_timestamp(column.type):
        raise ProjectError(
            f"{path}: column event_time is {column.type}", hint="write it as a timestamp in UTC"
        )
    if column.null_count:
        raise ProjectError(
            f"{path}: column event_time has missing values", hint="every row needs an event time"
        )
    if column.type.tz is None:
        raise ProjectError(
            f"{path}: column event_time is {column.type}, without a time zone",
            hint='write it in UTC; in pandas: rows["event_time"].dt.tz_localize("UTC")',
        )
    whole = column.cast(pa.timestamp("s", tz="UTC"), safe=False).cast(pa.int64())
    for seconds in pc.min_max(whole).as_py().values():
        moment = datetime.fromtimestamp(min(max(seconds, _YEAR_1), _YEAR_9999), UTC)
        try:
            check_event_time(moment, now, field="event_time")
        except InvalidRequest as error:
            raise ProjectError(
                f"{path}: {error.message}", hint=f"expected {error.expected}; correct or remove the row"
            ) from None
    return column.cast(MOMENT, safe=False)


def _outcomes(path: Path, prediction: Prediction, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Outcomes that fit the prediction, or are missing: null or NaN."""
    outcomes = _cast(path, "outcome", column, outcome_type(prediction))
    known = outcomes.filter(pc.invert(pc.is_null(outcomes, nan_is_null=True)))
    unfit = known.filter(pc.invert(fitting(prediction, known)))
    if len(unfit):
        expected = expected_outcome(prediction)
        value = unfit[0].as_py()
        shown = f"{value:g}" if isinstance(value, float) else repr(value)
        kind = "a model with classes" if prediction.kind == "classes" else f"a {prediction.kind}"
        raise ProjectError(
            f"{path}: column outcome contains {shown}; expected {expected} for {kind}",
            hint=f"write every outcome as {expected}, or leave it empty",
        )
    return outcomes


def _cast(path: Path, name: str, column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    try:
        return column.cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise ProjectError(
            f"{path}: column {name} is {column.type}; expected {kind}", hint="write the column with that type"
        ) from error
