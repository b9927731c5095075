"""Outcomes that wait for their prediction: they are in the outcomes table, and after `hold` those without one are dead letters.

An outcome may come before its prediction, when another server answered it and its shipper is behind. Whether its prediction has
come is looked up once, when `hold` has passed since it was received. Windows of the time of receipt, of a 24th of `hold`, are
settled one after the other:

1. Find the outcomes of the window whose prediction the lake does not have.
2. Send them to the dead-letter topic, and wait for the acknowledgements.
3. Delete them from the table, in the commit that stores how far the table is settled. After a crash before this step the same
   rows make the same dead letters, and each dead letter is stored once.

An outcome that reaches the table later than `hold` takes back how far it is settled: see TableWriter.prepare. So how far it is
settled is stored only where no other sink has stored such an outcome since the look.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from services.prediction_log.dead_letters import MAXIMUM_BYTES, DeadLetter
from services.prediction_log.sink.table_writer import TableWriter
from shared.contracts.lake_schema import OUTCOME_OPTIONAL_COLUMNS, OUTCOMES, SETTLED
from shared.errors import Conflict, HomeostatError
from shared.messaging.arrow import to_bytes
from shared.observability.logs import get_logger, log_unknown_error
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
_LAST = datetime(9999, 12, 31, tzinfo=UTC)


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

    def settle(self) -> int:
        """Settle what is due; the rows that became dead letters. A failure is logged, and tried again in a minute.

        No failure is raised, not even an unknown one: rows go on being stored.
        """
        until = self._floor(self._now() - self._hold)
        if until <= self._until or time.monotonic() < self._retry + _RETRY_SECONDS:
            return 0
        moved, is_complete = 0, True
        try:
            for model in self._lake.models(OUTCOMES):
                rows, reached = self._settle_table(model, until)
                moved += rows
                is_complete &= reached >= until
        except Exception as error:
            is_known = isinstance(error, HomeostatError | DeltaError | OSError)
            problem = str(error) if is_known else f"unknown error {log_unknown_error(_log, error)}"
            _log.warning("outcomes_not_settled", error=problem)
            self._retry = time.monotonic()
            return moved
        if is_complete:
            self._until = until
        return moved

    def _settle_table(self, model: str, until: datetime) -> tuple[int, datetime]:
        """Rows that became dead letters, and how far the table is settled now."""
        table = self._table(model)
        handle = table.newest()
        start = _settled_until(handle) or until
        spans, moved = list(_spans(handle).values()), 0
        # The table's files before the first window that was looked at since the last mark.
        unmarked: Collection[str] | None = None
        for _ in range(_WINDOWS_AT_ONCE):
            start = min(_first_at(spans, start), until)
            if start >= until:
                break
            files = unmarked or _spans(table.newest()).keys()
            end = min(self._floor(start) + self._width, until)
            rows = self._settle_window(table, model, start, end, files)
            unmarked = None if rows else files
            moved, start = moved + rows, end
        if unmarked is not None:
            table.mark({SETTLED: _micros(start)}, check=_same_before(start, unmarked))
        return moved, start

    def _settle_window(
        self, table: TableWriter, model: str, start: datetime, end: datetime, files: Collection[str]
    ) -> int:
        """The rows that became dead letters; if any, the table is settled until `end`."""
        rows = unmatched_outcomes(self._lake, model, start, end).unmatched
        if rows.num_rows > _ROWS_AT_ONCE and end - start > _SHORTEST:
            middle = start + (end - start) / 2
            first = self._settle_window(table, model, start, middle, files)
            after = _spans(table.newest()).keys() if first else files
            return first + self._settle_window(table, model, middle, end, after)
        if rows.num_rows:
            self._refuse(list(dead_letters_of(model, rows, self._hold)))
            within = f"received_at >= '{start.isoformat()}' AND received_at < '{end.isoformat()}'"
            predicate = f"{within} AND ({rows_predicate(rows)})"
            try:
                table.remove(predicate, {SETTLED: _micros(end)}, check=_same_before(end, files))
            except Conflict:
                # They are dead letters. The rest of the window is looked at again.
                table.remove(predicate, {})
                raise
            _log.warning("outcomes_without_prediction", model=model, rows=rows.num_rows)
        return int(rows.num_rows)

    def _floor(self, moment: datetime) -> datetime:
        return _START + (moment - _START) // self._width * self._width


def _same_before(end: datetime, files: Collection[str]) -> Callable[[DeltaTable], bool]:
    """Whether a newer version than that of these files has the same outcomes that were received before `end`."""
    return lambda newest: all(
        first >= end for path, (first, _) in _spans(newest).items() if path not in files
    )


def rows_predicate(rows: pa.Table) -> str:
    """A SQL predicate that exactly these rows meet: another outcome of the same prediction may come meanwhile."""
    streams = rows.group_by(["writer", "epoch"], use_threads=False).aggregate([("sequence", "list")])
    return " OR ".join(
        f"(writer = '{quoted(stream['writer'])}' AND epoch = {stream['epoch']} AND sequence IN "
        f"({', '.join(map(str, stream['sequence_list']))}))"
        for stream in streams.to_pylist()
    )


def quoted(text: str) -> str:
    """Text as it stands between quotes in SQL."""
    return text.replace("'", "''")


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
    return min((first for first, _ in _spans(handle).values()), default=None)


def _spans(handle: DeltaTable) -> dict[str, tuple[datetime, datetime]]:
    """When the outcomes of each file were received, by its statistics; they may be cut to milliseconds."""
    statistics = pa.table(handle.get_add_actions(flatten=True))
    if "min.received_at" not in statistics.column_names:
        return {}
    columns = (statistics[name].to_pylist() for name in ("path", "min.received_at", "max.received_at"))
    return {
        path: (_utc(first), min(_utc(last), _LAST) + timedelta(milliseconds=1))
        for path, first, last in zip(*columns, strict=True)
        if first is not None and last is not None
    }


def _first_at(spans: Sequence[tuple[datetime, datetime]], start: datetime) -> datetime:
    """The first time from `start` on at which an outcome may have been received; the last of all times where there is none."""
    return min((max(first, start) for first, last in spans if last >= start), default=_LAST)


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _micros(moment: datetime) -> int:
    return (moment - _START) // _MICROSECOND
