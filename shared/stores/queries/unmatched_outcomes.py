"""Outcomes whose prediction the lake does not have.

The hour in each id says when its prediction was answered, so only the files of those hours are read, and of them only the ids.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from shared.contracts.lake_schema import OUTCOME_COLUMNS, OUTCOME_OPTIONAL_COLUMNS, TIMESTAMP
from shared.stores.lake import Lake
from shared.stores.lake_errors import raises_dependency_unavailable
from shared.stores.lake_scan import files_between
from shared.stores.tables.id_hours import IdHours, id_hours

# Ids compared at once: some 10 MB.
_ROWS_AT_ONCE = 200_000
_HOUR = 3_600_000_000
# Hours between two ids up to which their predictions are read together.
_GAP = 3 * _HOUR


@dataclass(frozen=True)
class Examined:
    """`rows`: how many outcomes were looked up; `unmatched`: those without prediction, by (writer, epoch, sequence)."""

    rows: int
    unmatched: pa.Table


@raises_dependency_unavailable
def unmatched_outcomes(lake: Lake, model: str, since: datetime, until: datetime) -> Examined:
    """Look up the predictions of a model's outcomes that were received in [since, until)."""
    table = lake.open(lake.outcomes(model))
    if table is None:
        return Examined(0, OUTCOME_COLUMNS.empty_table())
    received = pc.field("received_at")
    within = (received >= pa.scalar(since, TIMESTAMP)) & (received < pa.scalar(until, TIMESTAMP))
    dataset = table.to_pyarrow_dataset(file_pruning_predicate=files_between("received_at", since, until))
    columns = [name for name in _schema().names if name in dataset.schema.names]
    schema = pa.schema([_schema().field(name) for name in columns])
    count, unmatched = 0, [schema.empty_table()]
    for rows in _chunks(dataset.to_batches(columns=columns, filter=within)):
        count += rows.num_rows
        known = known_predictions(lake, model, rows["prediction_id"])
        unmatched.append(rows.filter(pc.invert(known)).cast(schema))
    order = [(name, "ascending") for name in ("writer", "epoch", "sequence")]
    return Examined(count, pa.concat_tables(unmatched).sort_by(order))


@raises_dependency_unavailable
def known_predictions(lake: Lake, model: str, prediction_ids: pa.ChunkedArray) -> pa.Array:
    """Of each id, whether the lake has its prediction."""
    known = np.zeros(len(prediction_ids), bool)
    table = lake.open(lake.predictions(model))
    if table is None or not len(prediction_ids):
        return pa.array(known)
    ids = prediction_ids.combine_chunks()
    for places, hours in _groups(id_hours(prediction_ids)):
        wanted = ids.take(pa.array(places))
        for stored in _chunks(_ids(table, hours)):
            found = pc.is_in(wanted, value_set=stored["prediction_id"].combine_chunks().cast(wanted.type))
            known[places] |= found.to_numpy(zero_copy_only=False)
            if known[places].all():
                break
    return pa.array(known)


def _schema() -> pa.Schema:
    return pa.unify_schemas([OUTCOME_COLUMNS, OUTCOME_OPTIONAL_COLUMNS])


def _groups(hours: pa.ChunkedArray) -> Iterator[tuple[npt.NDArray[Any], IdHours | None]]:
    """Places of ids whose hours are near each other, with these hours; None for ids that have none."""
    without = np.flatnonzero(hours.is_null().to_numpy())
    if without.size:
        yield without, None
    places = np.flatnonzero(hours.is_valid().to_numpy())
    micros = hours.drop_null().cast(pa.int64()).to_numpy()
    order = np.argsort(micros, kind="stable")
    places, micros = places[order], micros[order]
    edges = np.flatnonzero(np.diff(micros) > _GAP) + 1
    for group, times in zip(np.split(places, edges), np.split(micros, edges), strict=True):
        if group.size:
            yield group, IdHours(_moment(times[0]), _moment(times[-1]))


def _ids(table: DeltaTable, hours: IdHours | None) -> Iterator[pa.RecordBatch]:
    """Ids of predictions: those answered when ids of these hours were, or all."""
    if hours is None:
        yield from table.to_pyarrow_dataset().to_batches(columns=["prediction_id"])
        return
    start, end = hours.answered()
    answered = pc.field("answered_at")
    within = (answered >= pa.scalar(start, TIMESTAMP)) & (answered < pa.scalar(end, TIMESTAMP))
    dataset = table.to_pyarrow_dataset(file_pruning_predicate=files_between("answered_at", start, end))
    yield from dataset.to_batches(columns=["prediction_id"], filter=within)


def _chunks(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    """The batches, put together to about _ROWS_AT_ONCE rows."""
    collected: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        if not batch.num_rows:
            continue
        collected.append(batch)
        rows += batch.num_rows
        if rows >= _ROWS_AT_ONCE:
            yield pa.Table.from_batches(collected)
            collected, rows = [], 0
    if collected:
        yield pa.Table.from_batches(collected)


def _moment(micros: int) -> datetime:
    return datetime.fromisoformat("1970-01-01T00:00:00+00:00") + timedelta(microseconds=int(micros))
