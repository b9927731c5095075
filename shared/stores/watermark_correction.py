"""Sets the watermark of a model's table, for a person: rows after it are set aside, and rows up to it are in the stream again.

No row is changed but for its partition. The commit has an application transaction of its own: sinks that see it read the
stream's time anew, and two corrections at a time exclude each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.exceptions import CommitFailedError

from shared.contracts.lake_schema import AFTER_MONTHS, PARTITION, SET_ASIDE
from shared.errors import Conflict, NotFound
from shared.stores.lake import Lake
from shared.stores.lake_errors import raises_dependency_unavailable
from shared.stores.tables.lake_table import LakeTable

# Application transaction that counts the corrections of a table.
_CORRECTIONS = "watermark-corrections"
_ATTEMPTS = 5


@dataclass(frozen=True)
class SetAside:
    """Rows of a table that are set aside: their number, and the newest few as (prediction id, time)."""

    rows: int
    examples: tuple[tuple[str, datetime], ...]


@dataclass(frozen=True)
class Correction:
    """Numbers of rows that were set aside and that were taken back into the stream."""

    set_aside: int
    taken_back: int


def corrections_of(table: DeltaTable) -> int:
    """The number of corrections of the table's watermark."""
    return table.transaction_version(_CORRECTIONS) or 0


@raises_dependency_unavailable
def correct_watermark(location: str, time_column: str, to: datetime) -> Correction:
    """Set the watermark of the table to the newest row up to and including `to`.

    Raises NotFound where there is no table, Conflict where sinks commit too often: try again.
    """
    if not DeltaTable.is_deltatable(location):
        raise NotFound(f"{location} has no rows", hint="send a prediction request first")
    moment = to.astimezone(UTC).replace(tzinfo=None)
    after = f"{time_column} >= '{(moment + timedelta(microseconds=1)).isoformat()}Z'"
    aside = _move(location, f"'{SET_ASIDE}'", f"{PARTITION} < '{AFTER_MONTHS}' and {after}")
    back = _move(
        location, f"to_char({time_column}, '%Y-%m')", f"{PARTITION} = '{SET_ASIDE}' and not ({after})"
    )
    return Correction(aside, back)


@raises_dependency_unavailable
def rows_set_aside(lake: Lake, location: str, time_column: str, examples: int) -> SetAside:
    """What of a table is set aside."""
    table = lake.open(location)
    if table is None:
        return SetAside(0, ())
    rows = table.to_pyarrow_dataset().to_table(
        columns=["prediction_id", time_column], filter=pc.field(PARTITION) == SET_ASIDE
    )
    newest = rows.sort_by([(time_column, "descending")]).slice(0, examples)
    pairs = zip(newest["prediction_id"].to_pylist(), newest[time_column].to_pylist(), strict=True)
    return SetAside(rows.num_rows, tuple(pairs))


def _move(location: str, partition: str, rows: str) -> int:
    for attempt in range(_ATTEMPTS):
        table = LakeTable(location)
        try:
            done = table.update(
                updates={PARTITION: partition},
                predicate=rows,
                commit_properties=CommitProperties(
                    app_transactions=[Transaction(_CORRECTIONS, corrections_of(table) + 1)]
                ),
            )
            return int(done["num_updated_rows"])
        except CommitFailedError as error:
            if attempt == _ATTEMPTS - 1:
                raise Conflict(
                    f"other commits to {location} came first {_ATTEMPTS} times: {error}", hint="try again"
                ) from error
    raise AssertionError("unreachable: the last attempt returns or raises")
