"""Finds one prediction in the lake, with its outcome, and the predictions of one version: for people who ask why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from shared.contracts.lake_schema import ID_HOUR, LABEL, PARTITION, TIMESTAMP, VALUE, VALUES
from shared.errors import DependencyUnavailable
from shared.stores.feature_columns import as_one_feature
from shared.stores.lake import ARRIVAL, Lake
from shared.stores.lake_errors import raises_dependency_unavailable
from shared.stores.lake_scan import ascending, files_between, has_column
from shared.stores.tables.id_hours import hours_of, read_outcomes_of


@dataclass(frozen=True)
class Answered:
    """The predictions of one version: their number, and the event times of the first and the last; None where there are none."""

    count: int
    first: datetime | None
    last: datetime | None


def find_prediction(lake: Lake, prediction_id: str, model: str | None = None) -> dict[str, Any] | None:
    """The row of one prediction as a mapping, with `model`, `outcome` and `observed_at`; None where it is not in the lake.

    Searches the models one by one unless `model` is given. Raises DependencyUnavailable where it is in no readable table, and
    a table cannot be read.
    """
    problem: DependencyUnavailable | None = None
    for name in [model] if model is not None else lake.models():
        try:
            found = _find_in(lake, name, prediction_id)
        except DependencyUnavailable as error:
            problem = error
            continue
        if found is not None:
            return found
    if problem is not None:
        raise problem
    return None


@raises_dependency_unavailable
def _find_in(lake: Lake, model: str, prediction_id: str) -> dict[str, Any] | None:
    table = lake.open(lake.predictions(model))
    if table is None:
        return None
    found = _rows_of(table, prediction_id)
    if found.num_rows == 0:
        return None
    row: dict[str, Any] = found.slice(0, 1).to_pylist()[0]
    row.pop(PARTITION, None)
    outcome = _latest_outcome(lake, model, prediction_id)
    values = (outcome[column] for column in (LABEL, VALUES, VALUE) if outcome.get(column) is not None)
    value = next(values, None)
    return {
        "model": model,
        **as_one_feature(row),
        "outcome": dict(value) if isinstance(value, list) else value,
        "observed_at": outcome.get("observed_at"),
    }


def _rows_of(table: DeltaTable, prediction_id: str) -> pa.Table:
    """The prediction's row. Files and row groups of the hour in its id are read first: any other answers took very long."""
    condition = pc.field("prediction_id") == prediction_id
    hours = hours_of(pa.chunked_array([[prediction_id]]))
    if hours is not None:
        start, end = hours.answered()
        answered = pc.field("answered_at")
        then = (answered >= pa.scalar(start, TIMESTAMP)) & (answered < pa.scalar(end, TIMESTAMP))
        near = table.to_pyarrow_dataset(file_pruning_predicate=files_between("answered_at", start, end))
        found = near.to_table(filter=condition & then)
        if found.num_rows:
            return found
    return table.to_pyarrow_dataset().to_table(filter=condition)


@raises_dependency_unavailable
def answered_by(lake: Lake, model: str, version: str) -> Answered:
    """The predictions of one version. Reads two columns, one batch at a time."""
    table = lake.open(lake.predictions(model))
    if table is None:
        return Answered(0, None, None)
    batches = table.to_pyarrow_dataset().to_batches(
        columns=["event_time"], filter=pc.field("version") == version
    )
    count, ends = 0, []
    for batch in batches:
        if batch.num_rows:
            count += batch.num_rows
            ends += pc.min_max(batch["event_time"]).as_py().values()
    return Answered(count, min(ends, default=None), max(ends, default=None))


def _latest_outcome(lake: Lake, model: str, prediction_id: str) -> dict[str, Any]:
    table = lake.open(lake.outcomes(model))
    if table is None:
        return {}
    condition = pc.field("prediction_id") == prediction_id
    hours = hours_of(pa.chunked_array([[prediction_id]]))
    if hours is None or not has_column(table, ID_HOUR):
        received = table.to_pyarrow_dataset().to_table(filter=condition)
    else:
        received = read_outcomes_of(table, hours, condition)
    rows: list[dict[str, Any]] = received.sort_by(ascending(ARRIVAL)).to_pylist()
    return rows[-1] if rows else {}
