"""The rows that a back-test replays: a file, or what the model has logged."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from shared.errors import ProjectError

if TYPE_CHECKING:
    import pyarrow as pa

    from shared.contracts.loop_spec import LoopSpec

NAMES = ("history.parquet", "history.csv")


def file_of(project: Path) -> Path | None:
    """The history file in the project's folder, if it has one."""
    return next((project / name for name in NAMES if (project / name).is_file()), None)


def rows_of_file(path: Path, loop: LoopSpec) -> pa.Table:
    """The rows of a Parquet or CSV file, checked as `homeostat deploy` checks them. Raises ProjectError."""
    from cli.deployment.parquet_rows import read_rows

    now = datetime.now(UTC)
    if path.suffix.lower() != ".csv":
        return read_rows(path, loop, now)
    import pyarrow as pa
    import pyarrow.csv as csv
    import pyarrow.parquet as pq

    try:
        table = csv.read_csv(path)
    except (OSError, pa.ArrowException) as error:
        raise ProjectError(
            f"{path} cannot be read as CSV: {error}", hint="write it with a header, separated by commas"
        ) from error
    with tempfile.TemporaryDirectory(prefix="homeostat-backtest-") as folder:
        copy = Path(folder) / f"{path.stem}.parquet"
        pq.write_table(table, copy)
        try:
            return read_rows(copy, loop, now)
        except ProjectError as error:
            raise ProjectError(error.message.replace(str(copy), str(path)), hint=error.hint) from error


def rows_of_lake(url: str, loop: LoopSpec) -> pa.Table:
    """The rows that the model has logged, with the time at which each outcome was observed. Raises ProjectError."""
    import pyarrow as pa

    from shared.contracts.lake_schema import feature_column
    from shared.models.answers import outcome_source, typed_outcomes
    from shared.stores.lake import Lake

    rows = Lake(url).read_joined(
        loop.model,
        datetime(1970, 1, 2, tzinfo=UTC),
        datetime(9999, 1, 1, tzinfo=UTC),
        columns=["event_time"],
        features=loop.features,
        source=outcome_source(loop.prediction),
        excluded_senders=loop.excluded_senders,
    )
    if rows.num_rows == 0:
        raise ProjectError(
            f"model {loop.model} has logged no rows",
            hint=f"give a file with --rows, or write {NAMES[0]} to the project's folder",
        )
    columns = {"event_time": rows["event_time"]}
    columns |= {feature.name: rows[feature_column(feature.name)] for feature in loop.features}
    columns["outcome"] = typed_outcomes(loop.prediction, rows["outcome"])
    columns["observed_at"] = rows["observed_at"]
    return pa.table(columns)
