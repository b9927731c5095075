"""Appends to one Delta table of the lake, so that every row is stored exactly once. The order matters:

1. Read the high watermark of every stream and partition from the version of the table that is known.
2. Drop repeats: records at or below the partition's offset, rows at or below their stream's sequence, and imported rows that
   another import has stored.
3. Append the rest as the next version, with the new offsets and sequences as application transactions of the same commit. The
   commit fails where another one came after the version of step 1, so none can come between 1 and 3. See table_log.py.
4. Only then may the caller commit offsets to Kafka.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError

from services.prediction_log.dead_letters import DeadLetter
from services.prediction_log.sink.compaction import ROW_GROUPS, compact
from services.prediction_log.sink.decoding import DecodedBatch, SchemaMismatch
from services.prediction_log.sink.feature_types import features_of, fit
from services.prediction_log.sink.imported_rows import are_imported, without_stored
from services.prediction_log.sink.table_log import TableLog, transactions
from services.prediction_log.sink.table_properties import Retention, table_properties, with_properties
from services.prediction_log.sink.table_time import (
    FarOff,
    read_stream_time,
    with_import_partition,
    with_partition,
)
from shared.contracts.lake_schema import (
    ID_HOUR,
    OUTCOMES,
    PARTITION,
    SETTLED,
)
from shared.errors import Conflict
from shared.stores.stream_time import StreamTime
from shared.stores.tables.id_hours import with_id_hours
from shared.stores.tables.lake_table import LakeTable
from shared.stores.watermark_correction import corrections_of

Check = Callable[[DeltaTable], bool]

# Readers select files by statistics of the time column and of these; without statistics they would open every file.
_STATISTICS_COLUMNS = ("generation", "answered_at", "received_at")


@dataclass
class Prepared:
    """Rows ready to be appended after a version of the table, and counts. `high_watermarks`: application transactions, by id."""

    log: TableLog
    version: int
    rows: pa.Table | None = None
    high_watermarks: dict[str, int] = field(default_factory=dict)
    repeats: int = 0
    missing: int = 0
    mismatches: list[SchemaMismatch] = field(default_factory=list)
    time: StreamTime = field(default_factory=StreamTime)
    far_off: FarOff = field(default_factory=FarOff)

    def dead_letters(self) -> list[DeadLetter]:
        """The schema mismatches as dead letters."""
        return [
            DeadLetter.schema_mismatch(
                mismatch.decoded.message,
                mismatch.decoded.offset_id.removeprefix("offset/"),
                mismatch.detail,
                mismatch.rows,
            )
            for mismatch in self.mismatches
        ]


class TableWriter:
    """Appends batches to the table at `location`, creating it on first use. One per table and process."""

    def __init__(
        self,
        location: str,
        columns: pa.Schema,
        *,
        time_column: str,
        retention: Retention,
        partitioned: bool = True,
    ) -> None:
        self._location = location
        self._columns = columns
        self._time_column = time_column
        self._retention = retention
        self._partitioned = partitioned
        self._log: TableLog | None = None
        self._is_stale = False
        self._time = StreamTime()
        self._corrections = -1
        self._commits = 0

    def prepare(self, batches: Sequence[DecodedBatch]) -> Prepared:
        """Steps 1 and 2. Writes nothing."""
        log = self._known_log()
        prepared = Prepared(log, log.version, time=self._time)
        known = dict(features_of(log.schema))
        kept: list[pa.Table] = []
        for decoded in batches:
            if decoded.offset <= _high_watermark(prepared, decoded.offset_id):
                prepared.repeats += decoded.rows
                continue
            prepared.high_watermarks[decoded.offset_id] = decoded.offset
            watermark = _high_watermark(prepared, decoded.stream_id)
            sequences = decoded.sequences
            fresh = int(np.searchsorted(sequences, watermark, side="right"))
            prepared.repeats += fresh
            if fresh == len(sequences):
                continue
            prepared.missing += int(sequences[-1]) - watermark - (len(sequences) - fresh)
            prepared.high_watermarks[decoded.stream_id] = int(sequences[-1])
            fitted = decoded.flaw or fit(decoded.batch.slice(fresh), known)
            if isinstance(fitted, str):
                # It becomes a dead letter: the same rows under another offset must not become a second one.
                prepared.mismatches.append(SchemaMismatch(decoded, fitted, len(sequences) - fresh))
                continue
            known.update(features_of(fitted.schema))
            if are_imported(fitted):
                rows = fitted.num_rows
                self._refresh(log)  # its own appends, too: they are compared with
                fitted = without_stored(log.handle, fitted, self._time_column, kept)
                prepared.repeats += rows - fitted.num_rows
            if decoded.kind == OUTCOMES and fitted.num_rows:
                _unsettle(prepared, fitted)
            if decoded.kind == OUTCOMES:
                fitted = with_id_hours(fitted)
            kept.append(self._placed(fitted, prepared, decoded.time_bound))
        if kept:
            prepared.rows = pa.concat_tables(kept, promote_options="default")
        elif prepared.mismatches:
            prepared.rows = log.schema.empty_table()
        return prepared

    def commit(self, prepared: Prepared) -> int:
        """Step 3; the number of rows written. Raises Conflict where another sink committed first: prepare again."""
        if prepared.rows is None:
            return 0
        try:
            prepared.log.append(prepared.rows, prepared.high_watermarks, after=prepared.version)
        except Conflict:
            self._is_stale = True
            raise
        except BaseException:
            self._log = None
            raise
        self._commits += 1
        self._time = prepared.time
        return int(prepared.rows.num_rows)

    def _placed(self, rows: pa.Table, prepared: Prepared, bound: int | None) -> pa.Table:
        """The rows with their partition; see table_time.py."""
        if not self._partitioned:
            return rows
        if are_imported(rows):
            return with_import_partition(rows, self._time_column)
        placed, time, far_off = with_partition(rows, prepared.time, self._time_column, bound)
        if far_off.ahead:
            # Another sink may have moved the stream since this one has read its time.
            self._refresh(prepared.log)
            stored = read_stream_time(prepared.log.handle, self._time_column)
            if stored.newest != prepared.time.newest and (stored.newest or 0) > (prepared.time.newest or 0):
                placed, time, far_off = with_partition(rows, stored, self._time_column, bound)
        prepared.time, prepared.far_off = time, prepared.far_off + far_off
        return placed

    def check(self) -> None:
        """Make an empty commit: it fails where the table accepts no commits at all."""
        with suppress(Conflict):  # another sink committed, so the table accepts commits
            self.mark({})

    def mark(self, marks: Mapping[str, int], *, check: Check | None = None) -> None:
        """Store application transactions in a commit without rows. Raises Conflict.

        `check`: says of the version before the commit whether it may follow; else Conflict.
        """
        with self._changing(check) as handle:
            empty = pa.schema(handle.schema().to_arrow()).empty_table()
            write_deltalake(handle, empty, mode="append", commit_properties=transactions(marks))

    def remove(self, predicate: str, marks: Mapping[str, int], *, check: Check | None = None) -> None:
        """Delete rows that meet a SQL predicate, and store application transactions in the same commit. Raises Conflict.

        `check`: as of `mark`.
        """
        with self._changing(check) as handle:
            handle.delete(predicate, writer_properties=ROW_GROUPS, commit_properties=transactions(marks))

    @contextmanager
    def _changing(self, check: Check | None = None) -> Iterator[DeltaTable]:
        handle = self.newest()
        if check is not None and not check(handle):
            raise Conflict(f"another sink wrote to {self._location} meanwhile")
        try:
            yield handle
        except CommitFailedError as error:
            raise Conflict(f"another sink wrote to {self._location} meanwhile: {error}") from error
        except BaseException:
            self._log = None
            raise
        finally:
            self._is_stale = True

    def is_due_for_compaction(self, commits: int) -> bool:
        """Whether that many commits were made since the last compaction."""
        return self._commits >= commits

    def compact(self) -> None:
        """See compaction.py. Conflicts are harmless."""
        self._commits = 0
        with suppress(Conflict), self._changing() as handle:
            compact(handle, self._time_column, self._retention)

    def newest(self) -> DeltaTable:
        """The table's newest version; the handle is the writer's: do not move it."""
        log = self._known_log()
        self._refresh(log)
        return log.handle

    def _known_log(self) -> TableLog:
        """The log as it is known; it is read where it was not yet, and again after a conflict."""
        if self._log is None:
            if not DeltaTable.is_deltatable(self._location):
                self._create()
            handle = with_properties(LakeTable(self._location), self._properties())
            self._log = TableLog(handle, self._statistics(), partitioned=self._partitioned)
            self._corrections = -1
            self._read_time(self._log)
        elif self._is_stale:
            self._refresh(self._log)
        self._is_stale = False
        return self._log

    def _refresh(self, log: TableLog) -> None:
        """Read the newest version, and the stream's time where others have committed: a person may have corrected it."""
        if log.refresh():
            self._read_time(log)

    def _read_time(self, log: TableLog) -> None:
        corrections = corrections_of(log.handle)
        if self._partitioned and corrections != self._corrections:
            self._time = read_stream_time(log.handle, self._time_column)
            self._corrections = corrections

    def _create(self) -> None:
        fields = list(self._columns)
        if self._partitioned:
            fields.append(pa.field(PARTITION, pa.string()))
        DeltaTable.create(
            self._location,
            pa.schema(fields),
            mode="ignore",
            partition_by=[PARTITION] if self._partitioned else None,
            configuration=self._properties(),
        )

    def _properties(self) -> dict[str, str]:
        return table_properties(self._retention, self._statistics())

    def _statistics(self) -> list[str]:
        more = (name for name in _STATISTICS_COLUMNS if name in self._columns.names)
        hour = [] if "answered_at" in self._columns.names else [ID_HOUR]
        return [self._time_column, *more, *hour]


def _unsettle(prepared: Prepared, outcomes: pa.Table) -> None:
    """Take back how far the table is settled where outcomes come that were received before that time."""
    settled = _high_watermark(prepared, SETTLED)
    if settled >= 0:
        first = pc.min(outcomes["received_at"].cast(pa.int64())).as_py()
        if first < settled:
            prepared.high_watermarks[SETTLED] = max(first, 0)


def _high_watermark(prepared: Prepared, identity: str) -> int:
    """Highest sequence or offset stored of that stream or partition; -1 for a new one."""
    found = prepared.high_watermarks.get(identity)
    return prepared.log.mark_of(identity) if found is None else found
