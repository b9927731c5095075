"""A subject's rows in the lake: found, and deleted from every version that can be read.

Deleting writes new files; the old ones are removed at once, not after the retention. Only files that a commit has replaced are
removed, never files that a sink has written and not committed yet, so sinks may run. What they commit later is another run's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable, WriterProperties
from deltalake.exceptions import CommitFailedError

from shared.errors import Conflict
from shared.stores.erasure.subject import Subject, lake_columns_of
from shared.stores.lake import Lake
from shared.stores.lake_errors import raises_dependency_unavailable

_ATTEMPTS = 5
_IDS_AT_ONCE = 5000


@dataclass(frozen=True)
class FoundRows:
    """A subject's predictions of one model. `first` and `last`: event times; `newest`: when the last one was answered."""

    model: str
    prediction_ids: tuple[str, ...] = field(default=(), repr=False)
    outcomes: int = 0
    first: datetime | None = None
    last: datetime | None = None
    newest: datetime | None = None

    @property
    def predictions(self) -> int:
        """Number of predictions."""
        return len(self.prediction_ids)


@raises_dependency_unavailable
def find_rows(lake: Lake, model: str, subject: Subject, personal: frozenset[str]) -> FoundRows:
    """The subject's rows in the newest versions of a model's tables."""
    table = lake.open(lake.predictions(model))
    if table is None:
        return FoundRows(model)
    dataset = table.to_pyarrow_dataset()
    columns = lake_columns_of(dataset.schema, personal)
    if not columns:
        return FoundRows(model)
    condition = pc.field(columns[0]).isin(list(subject.values))
    for name in columns[1:]:
        condition = condition | pc.field(name).isin(list(subject.values))
    rows = dataset.to_table(columns=["prediction_id", "event_time", "answered_at"], filter=condition)
    if rows.num_rows == 0:
        return FoundRows(model)
    times = pc.min_max(rows["event_time"]).as_py()
    ids = tuple(rows["prediction_id"].to_pylist())
    return FoundRows(
        model,
        ids,
        _count_outcomes(lake, model, ids),
        times["min"],
        times["max"],
        pc.max(rows["answered_at"]).as_py(),
    )


def _count_outcomes(lake: Lake, model: str, ids: Sequence[str]) -> int:
    table = lake.open(lake.outcomes(model))
    if table is None:
        return 0
    wanted = pc.field("prediction_id").isin(list(ids))
    return int(table.to_pyarrow_dataset().count_rows(filter=wanted))


@raises_dependency_unavailable
def delete_rows(lake: Lake, found: FoundRows) -> None:
    """Delete the rows from the newest versions; outcomes first: without predictions they could not be found again.

    Raises Conflict where sinks commit too often: try again.
    """
    for location in (lake.outcomes(found.model), lake.predictions(found.model)):
        for start in range(0, len(found.prediction_ids), _IDS_AT_ONCE):
            ids = found.prediction_ids[start : start + _IDS_AT_ONCE]
            delete_where(location, f"prediction_id IN ({', '.join(map(quoted, ids))})")


@raises_dependency_unavailable
def remove_old_files(location: str) -> None:
    """Remove the files that the newest version of a table does not use: earlier versions cannot be read any more."""
    if DeltaTable.is_deltatable(location):
        DeltaTable(location).vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)


def delete_where(location: str, predicate: str) -> None:
    """Delete rows of a table; a table that does not exist has none. Raises Conflict."""
    if not DeltaTable.is_deltatable(location):
        return
    for attempt in range(_ATTEMPTS):
        try:
            DeltaTable(location).delete(predicate, writer_properties=WriterProperties(compression="ZSTD"))
            return
        except CommitFailedError as error:
            if attempt == _ATTEMPTS - 1:
                raise Conflict(
                    f"other commits to {location} came first {_ATTEMPTS} times: {error}", hint="try again"
                ) from error


def quoted(value: str) -> str:
    """A text in a predicate."""
    return "'" + value.replace("'", "''") + "'"


def without(rows: pa.Table, is_subjects: pa.Array) -> pa.Table:
    """The other rows."""
    return rows.filter(pc.invert(is_subjects))
