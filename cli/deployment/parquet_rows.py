"""Reads and validates the Parquet files of `homeostat deploy`: rows with outcomes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cli.deployment.parquet_columns import cast_column, feature_column, outcome_column, time_column
from shared.contracts.loop_spec import LoopSpec
from shared.errors import ProjectError
from shared.models.answers import answer_columns
from shared.models.losses import Scores

MAX_REFERENCE_ROWS = 20_000
_HELD_BY = {
    "event_time": "event times",
    "outcome": "outcomes",
}  # a feature's column has the name of the feature


def read_rows(path: Path, loop: LoopSpec, now: datetime) -> pa.Table:
    """The file's rows in time order: event_time (UTC), the features, outcome (of a kind with a loss), prediction_id (empty if the
    file has none).

    Raises `ProjectError` naming the file and column where one is missing, is of another type, has a time out of bounds, or
    there are no rows.
    """
    check_columns(path, loop)
    with _parquet_errors(path):
        table = pq.read_table(path)
    columns = {name: table.column(name) for name in _needed(loop)}
    columns["event_time"] = time_column(path, columns["event_time"], now)
    if loop.prediction.has_loss:
        columns["outcome"] = outcome_column(path, loop.prediction, columns["outcome"])
    for feature in loop.features:
        columns[feature.name] = feature_column(path, feature, columns[feature.name])
    ids = table.column("prediction_id") if "prediction_id" in table.column_names else None
    columns["prediction_id"] = (
        cast_column(path, "prediction_id", ids, pa.string())
        if ids is not None
        else pa.array([""] * table.num_rows)
    )
    return pa.table(columns).sort_by("event_time")


def check_columns(path: Path, loop: LoopSpec) -> None:
    """Reads the footer alone. Raises `ProjectError` if the file is no Parquet, has no rows, or lacks columns."""
    with _parquet_errors(path), pq.ParquetFile(path) as file:
        rows, found = file.metadata.num_rows, file.schema_arrow.names
    if rows == 0:
        raise ProjectError(f"{path} has no rows", hint="give a file with rows and outcomes")
    missing = [name for name in _needed(loop) if name not in found]
    if not missing:
        return
    named = [name for name in _needed(loop) if name in _HELD_BY]
    renamed = [
        f"rename the column that holds the {_HELD_BY[name]} to {name}" for name in missing if name in _HELD_BY
    ]
    raise ProjectError(
        f"{path} has no column {', '.join(missing)}; it has {', '.join(found)}",
        hint="; ".join([f"it needs {', '.join(named)} and one column per feature of loop.yaml", *renamed]),
    )


def _needed(loop: LoopSpec) -> list[str]:
    outcome = ["outcome"] if loop.prediction.has_loss else []
    return ["event_time", *(feature.name for feature in loop.features), *outcome]


@contextmanager
def _parquet_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        raise ProjectError(
            f"{path} cannot be read as Parquet: {error}", hint="write it as a Parquet file"
        ) from error


def newest_time(table: pa.Table) -> datetime:
    """Event time of the newest row."""
    found: datetime = pc.max(table.column("event_time")).as_py()
    return found


def newest(*tables: pa.Table) -> pa.Table:
    """The last rows of the concatenated tables, as many as a reference holds."""
    rows = pa.concat_tables(tables)
    return rows.slice(max(0, rows.num_rows - MAX_REFERENCE_ROWS)).combine_chunks()


def with_scores(table: pa.Table, loop: LoopSpec, scores: Scores) -> pa.Table:
    """The reference: the rows with the model's answers."""
    for name, column in answer_columns(loop.prediction, scores).items():
        table = table.append_column(name, column)
    return table
