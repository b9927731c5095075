"""Imported rows: the same row of history is stored once, whatever file it comes in.

The id of an imported prediction is a digest of its content (cli/history/content_ids.py), so the id alone shows a repeat. An
imported outcome is a repeat if an imported one of the same prediction, time and value is stored; another value is a correction.
All imported rows of a model are in one partition of their topic, so one sink at a time compares them: no other can store the same
row meanwhile, because it would have to change the same application transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from shared.contracts.lake_schema import IMPORT, LABEL, SOURCE, TIMESTAMP, VALUE, VALUES
from shared.stores.lake_scan import files_between

_OUTCOME = ("prediction_id", "observed_at", VALUE, LABEL, VALUES)


def are_imported(rows: pa.Table) -> bool:
    """Whether these rows of one record are imported."""
    return SOURCE in rows.column_names and rows.num_rows > 0 and rows[SOURCE][0].as_py() == IMPORT


def without_stored(
    table: DeltaTable, rows: pa.Table, time_column: str, before: Sequence[pa.Table]
) -> pa.Table:
    """The imported rows that neither the table nor the rows `before` them in the same commit have, each once."""
    columns = ("prediction_id",) if time_column == "event_time" else _OUTCOME
    span = pc.min_max(rows[time_column]).as_py()
    seen = _keys(_stored(table, time_column, span["min"], span["max"], columns), columns)
    for part in before:
        if are_imported(part):
            seen |= _keys(part, columns)
    kept = []
    for place, key in enumerate(_in_order(rows, columns)):
        if key not in seen:
            seen.add(key)
            kept.append(place)
    return rows if len(kept) == rows.num_rows else rows.take(pa.array(kept, pa.int64()))


def _stored(
    table: DeltaTable, time_column: str, first: datetime, last: datetime, columns: Sequence[str]
) -> pa.Table:
    dataset = table.to_pyarrow_dataset(file_pruning_predicate=files_between(time_column, first, last))
    present = [name for name in columns if name in dataset.schema.names]
    if SOURCE not in dataset.schema.names:
        return dataset.schema.empty_table().select(present)
    time = pc.field(time_column)
    between = (time >= pa.scalar(first, TIMESTAMP)) & (time <= pa.scalar(last, TIMESTAMP))
    return dataset.to_table(columns=present, filter=between & (pc.field(SOURCE) == IMPORT))


def _keys(rows: pa.Table, columns: Sequence[str]) -> set[Any]:
    return set(_in_order(rows, columns))


def _in_order(rows: pa.Table, columns: Sequence[str]) -> list[Any]:
    """What makes each row the same as another one."""
    if len(columns) == 1:
        return list(rows[columns[0]].to_pylist())
    parts = [
        rows[name].to_pylist() if name in rows.column_names else [None] * rows.num_rows for name in columns
    ]
    return [
        tuple(tuple(sorted(part)) if isinstance(part, list) else part for part in key)
        for key in zip(*parts, strict=True)
    ]
