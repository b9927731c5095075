"""Outcomes that wait for their prediction: they are in the outcomes table, and after `hold` those without one are dead letters.

An outcome may come before its prediction, when another server answered it and its shipper is behind. Whether its prediction has
come is looked up once, when `hold` has passed since it was received. Windows of the time of receipt, of a 24th of `hold`, are
settled one after the other:

1. Find the outcomes of the window whose prediction the lake does not have.
2. Send them to the dead-letter topic, and wait for the acknowledgements.
3. Delete them from the table, in the commit that stores how far the table is settled. After a crash before this step the same
   rows make the same dead letters, and each dead letter is stored once.

An outcome that reaches the table later than `hold` takes back how far it is settled: see TableWriter.prepare.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from services.prediction_log.dead_letters import MAXIMUM_BYTES, DeadLetter
from services.prediction_log.sink.table_writer import TableWriter
from shared.contracts.lake_schema import OUTCOME_OPTIONAL_COLUMNS, OUTCOMES, SETTLED
from shared.errors import HomeostatError
from shared.messaging.arrow import to_bytes
from shared.observability.logs import get_logger
from shared.stores.lake import Lake
from shared.stores.queries.unmatched_outcomes import unmatched_outcomes

_log = get_logger(__name__)
_WINDOWS = 24
_WINDOWS_AT_ONCE = 24  # of one model: records wait meanwhile
_ROWS_OF_DEAD_LETTER = 1000
_ROWS_AT_ONCE = 5000  # deleted in one commit, named by their ids
_SHORTEST = timedelta(seconds=1)
_RETRY_SECONDS = 60.0
_START = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class HeldOutcomes:
    """Settles the outcomes tables of a lake. `table` gives the writer of a model's outcomes, `refuse` sends a dead letter."""

    def __init__(
        self,
        lake: Lake,
        hold: timedelta,
        table: Callable[[str], TableWriter],
        refuse: Callable[[list[DeadLetter]], None],
        now: Callable[[], datetime],
    ) -> None:
        self._lake = lake
        self._hold = hold
        self._width = hold / _WINDOWS
        self._table = table
        self._refuse = refuse
        self._now = now
        self._until = _START
        self._retry = -_RETRY_SECONDS
        # Per model the version of its table, and how far that version is settled.
        self._settled: dict[str, tuple[int, datetime]] = {}

    def settle(self) -> int:
        """Settle what is due; the rows that became dead letters. A failure is logged, and tried again in a minute."""
        until = self._floor(self._now() - self._hold)
        if until <= self._until or time.monotonic() < self._retry + _RETRY_SECONDS:
            return 0
        moved, is_complete = 0, True
        try:
            for model in self._lake.models(OUTCOMES):
                rows, reached = self._settle_table(model, until)
                moved += rows
                is_complete &= reached >= until
        except (HomeostatError, DeltaError, OSError) as error:
            _log.warning("outcomes_not_settled", error=str(error))
            self._retry = time.monotonic()
            return moved
        if is_complete:
            self._until = until
        return moved

    def _settle_table(self, model: str, until: datetime) -> tuple[int, datetime]:
        """Rows that became dead letters, and how far the table is settled now."""
        table = self._table(model)
        handle = table.newest()
        version, start = self._settled.get(model, (-1, _START))
        if version != handle.version():
            start = _settled_until(handle) or until
        spans, moved, examined, left = list(_spans(handle)), 0, 0, _WINDOWS_AT_ONCE
        stored = start
        while start < until and left:
            end = min(self._floor(start) + self._width, until)
            if any(first < end and last >= start for first, last in spans):
                left -= 1
                rows, seen = self._settle_window(table, model, start, end)
                moved, examined = moved + rows, examined + seen
                stored = end if rows else stored
            start = end
        if examined and stored < start:
            table.mark({SETTLED: _micros(start)})
        self._settled[model] = (table.newest().version(), start)
        return moved, start

    def _settle_window(
        self, table: TableWriter, model: str, start: datetime, end: datetime
    ) -> tuple[int, int]:
        """Rows that became dead letters, and rows that were looked up."""
        found = unmatched_outcomes(self._lake, model, start, end)
        rows = found.unmatched
        if rows.num_rows > _ROWS_AT_ONCE and end - start > _SHORTEST:
            middle = start + (end - start) / 2
            parts = [self._settle_window(table, model, *part) for part in ((start, middle), (middle, end))]
            return sum(part[0] for part in parts), sum(part[1] for part in parts)
        if rows.num_rows:
            self._refuse(list(dead_letters_of(model, rows, self._hold)))
            ids = ", ".join(f"'{identity}'" for identity in pc.unique(rows["prediction_id"]).to_pylist())
            within = f"received_at >= '{start.isoformat()}' AND received_at < '{end.isoformat()}'"
            table.remove(f"{within} AND prediction_id IN ({ids})", {SETTLED: _micros(end)})
            _log.warning("outcomes_without_prediction", model=model, rows=rows.num_rows)
        return rows.num_rows, found.rows

    def _floor(self, moment: datetime) -> datetime:
        return _START + (moment - _START) // self._width * self._width


def dead_letters_of(model: str, rows: pa.Table, hold: timedelta) -> Iterator[DeadLetter]:
    """Outcomes as dead letters, each of one writer's; the same rows make the same ones."""
    detail = (
        f"the lake had no prediction with these ids {hold / timedelta(hours=1):g} h after they were received"
    )
    streams = rows.group_by(["writer", "epoch"], use_threads=False).aggregate([]).to_pylist()
    for stream in streams:
        of_stream = pc.and_(
            pc.equal(rows["writer"], stream["writer"]), pc.equal(rows["epoch"], stream["epoch"])
        )
        own = rows.filter(of_stream)
        for first in range(0, own.num_rows, _ROWS_OF_DEAD_LETTER):
            yield from _fitting(model, own.slice(first, _ROWS_OF_DEAD_LETTER), detail)


def _fitting(model: str, rows: pa.Table, detail: str) -> Iterator[DeadLetter]:
    batch = _batch(rows)
    value = to_bytes(batch)
    if len(value) > MAXIMUM_BYTES and rows.num_rows > 1:
        half = rows.num_rows // 2
        yield from _fitting(model, rows.slice(0, half), detail)
        yield from _fitting(model, rows.slice(half), detail)
    else:
        yield DeadLetter.unmatched(model, batch, value, detail)


def _batch(rows: pa.Table) -> pa.RecordBatch:
    """The rows as a record has them: without optional columns that none of them has."""
    optional = [name for name in rows.column_names if name in OUTCOME_OPTIONAL_COLUMNS.names]
    empty = [name for name in optional if rows[name].null_count == rows.num_rows]
    return rows.drop_columns(empty).combine_chunks().to_batches()[0]


def _settled_until(handle: DeltaTable) -> datetime | None:
    """How far a table is settled: as stored, else until its first outcome; None where it has none with statistics."""
    micros = handle.transaction_version(SETTLED)
    if micros is not None:
        return _START + micros * _MICROSECOND
    return min((first for first, _ in _spans(handle)), default=None)


def _spans(handle: DeltaTable) -> Iterator[tuple[datetime, datetime]]:
    """When the outcomes of each file were received, by its statistics; they may be cut to milliseconds."""
    statistics = pa.table(handle.get_add_actions(flatten=True))
    if "min.received_at" not in statistics.column_names:
        return
    for first, last in zip(
        statistics["min.received_at"].to_pylist(), statistics["max.received_at"].to_pylist(), strict=True
    ):
        if first is not None and last is not None:
            yield _utc(first), _utc(last) + timedelta(milliseconds=1)


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _micros(moment: datetime) -> int:
    return (moment - _START) // _MICROSECOND
