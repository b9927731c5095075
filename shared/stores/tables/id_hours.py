"""The hour in which a prediction's id was made, read from the id: it bounds where the lake is searched for outcomes.

The sink stores the hour of every outcome's id in the column ID_HOUR, so files and row groups without outcomes of a window are
skipped by their statistics, whenever the outcomes were observed. Ids of other forms have no hour: their outcomes hold
null, and no search leaves rows with null out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from shared.contracts.lake_schema import ID_HOUR, TIMESTAMP
from shared.contracts.prediction_id import GROUP_LENGTH, HOUR_LENGTH, HOUR_SECONDS, PLACES_WITH_HOUR

_LENGTH = 32
_BASE = 32
_HOUR = timedelta(seconds=HOUR_SECONDS)
_MICROS = 1_000_000 * HOUR_SECONDS


@dataclass(frozen=True)
class IdHours:
    """The first and the last hour of ids: [first, last], as the start of the hour."""

    first: datetime
    last: datetime

    def answered(self) -> tuple[datetime, datetime]:
        """When predictions with these ids were answered, with an hour for those that take long: [start, end)."""
        return self.first - _HOUR, self.last + 2 * _HOUR


def read_outcomes_of(
    table: DeltaTable,
    hours: IdHours,
    condition: pc.Expression,
    columns: Sequence[str] | None = None,
    files: str = "",
) -> pa.Table:
    """Outcomes of the table that may be of predictions with ids of these hours, and meet `condition`.

    `files`: a predicate on files beside that of the hours. Rows without hour are read apart: Arrow finds no null in a file that
    lacks the column, and skips row groups by comparisons only.
    """
    hour, first, last = pc.field(ID_HOUR), hours.first, hours.last
    within = (hour >= pa.scalar(first, TIMESTAMP)) & (hour <= pa.scalar(last, TIMESTAMP))
    no_hour = pa.scalar(1, TIMESTAMP)
    parts = []
    for predicate, rows in (
        (f"{ID_HOUR} >= '{first.isoformat()}' and {ID_HOUR} <= '{last.isoformat()}'", within),
        (f"{ID_HOUR} is null", pc.coalesce(hour, no_hour) == no_hour),
    ):
        dataset = table.to_pyarrow_dataset(
            file_pruning_predicate=f"{files} and {predicate}" if files else predicate
        )
        parts.append(dataset.to_table(columns=columns, filter=condition & rows))
    return pa.concat_tables(parts)


def hours_of(prediction_ids: pa.ChunkedArray) -> IdHours | None:
    """The hours of these ids; None where one of them has none, or there are no ids."""
    found = id_hours(prediction_ids)
    if found.null_count or not len(found):
        return None
    ends = pc.min_max(found).as_py()
    return IdHours(ends["min"], ends["max"])


def id_hours(prediction_ids: pa.ChunkedArray) -> pa.ChunkedArray:
    """Of each id the start of its hour; null for an id without one."""
    place = pc.utf8_slice_codeunits(prediction_ids, GROUP_LENGTH, GROUP_LENGTH + 1)
    has_hour = pc.and_(
        pc.equal(pc.utf8_length(prediction_ids), _LENGTH),
        pc.is_in(place, value_set=pa.array(list(PLACES_WITH_HOUR))),
    )
    texts = pc.if_else(has_hour, pc.utf8_slice_codeunits(prediction_ids, 0, HOUR_LENGTH), None)
    # Few hours, many ids.
    distinct = pc.unique(texts.drop_null())
    micros = pa.array([_micros(text) for text in distinct.to_pylist()], pa.int64())
    return pc.take(micros, pc.index_in(texts, value_set=distinct)).cast(TIMESTAMP)


def with_id_hours(outcomes: pa.Table) -> pa.Table:
    """Outcomes with the column ID_HOUR."""
    hours = id_hours(outcomes["prediction_id"])
    return outcomes.append_column(pa.field(ID_HOUR, TIMESTAMP), hours)


def _micros(text: str) -> int | None:
    try:
        return int(text, _BASE) * _MICROS
    except ValueError:
        return None
