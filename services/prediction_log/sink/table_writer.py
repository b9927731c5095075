"""One Delta table of the lake, written so that every row is there once.

The order that keeps it:

1. Bring the table handle to the newest version and read from it how far every stream and partition has got.
2. Drop repeats: records at or below the partition's offset, rows at or below their stream's sequence.
3. Append the rest through that same handle, with the new offsets and sequences as application transactions of the same commit.
   delta-rs accepts a repeated transaction, so step 1 must look; but it refuses a commit when another writer has moved one of
   these transactions since the handle was read, so nothing can come between 1 and 3.
4. Only then may the caller commit offsets to Kafka.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError

from services.prediction_log.sink.decoding import Arrival, Misfit
from shared.contracts.lake_schema import FEATURE_PREFIX, PARTITION
from shared.errors import Conflict

_CHECKPOINT_COMMITS = 50
# Readers find files by the table's time column and by these: without statistics they would open every file there is.
_LOOKED_UP = ("generation",)


@dataclass
class Prepared:
    """Rows ready to be appended, and what was found on the way. `reached` holds the application transactions to write."""

    handle: DeltaTable
    rows: pa.Table | None = None
    reached: dict[str, int] = field(default_factory=dict)
    repeats: int = 0
    missing: int = 0
    misfits: list[Misfit] = field(default_factory=list)


class TableWriter:
    """Appends arrivals to the table at `location`, making it on first use. One per table and process."""

    def __init__(
        self,
        location: str,
        columns: pa.Schema,
        *,
        time_column: str,
        retention: timedelta,
        partitioned: bool = True,
    ) -> None:
        self._location = location
        self._columns = columns
        self._time_column = time_column
        self._retention = retention
        self._partitioned = partitioned
        self._handle: DeltaTable | None = None
        self._commits = 0

    def prepare(self, arrivals: Sequence[Arrival]) -> Prepared:
        """Steps 1 and 2. Writes nothing."""
        handle = self._newest()
        prepared = Prepared(handle)
        known = dict(_features(pa.schema(handle.schema().to_arrow())))
        kept: list[pa.Table] = []
        for arrival in arrivals:
            if arrival.offset <= _reached(prepared, arrival.offset_id):
                prepared.repeats += arrival.rows
                continue
            prepared.reached[arrival.offset_id] = arrival.offset
            before = _reached(prepared, arrival.stream_id)
            sequences = arrival.sequences
            fresh = int(np.searchsorted(sequences, before, side="right"))
            prepared.repeats += fresh
            if fresh == len(sequences):
                continue
            prepared.missing += int(sequences[-1]) - before - (len(sequences) - fresh)
            prepared.reached[arrival.stream_id] = int(sequences[-1])
            fitted = arrival.flaw or _fit(arrival.batch.slice(fresh), known)
            if isinstance(fitted, str):
                # Accounted for as a dead letter: the same rows under another offset must not become a second one.
                prepared.misfits.append(Misfit(arrival, fitted, len(sequences) - fresh))
                continue
            known.update(_features(fitted.schema))
            kept.append(fitted)
        if kept:
            rows = pa.concat_tables(kept, promote_options="default")
            if self._partitioned:
                rows = rows.append_column(PARTITION, pc.strftime(rows[self._time_column], "%Y-%m"))
            prepared.rows = rows
        elif prepared.misfits:
            prepared.rows = pa.schema(handle.schema().to_arrow()).empty_table()
        return prepared

    def commit(self, prepared: Prepared) -> int:
        """Step 3; the number of rows written. Raises Conflict where another sink was first: prepare again then."""
        if prepared.rows is None:
            return 0
        transactions = [Transaction(name, version) for name, version in prepared.reached.items()]
        try:
            write_deltalake(
                prepared.handle,
                prepared.rows,
                mode="append",
                schema_mode="merge",
                commit_properties=CommitProperties(app_transactions=transactions),
            )
        except CommitFailedError as error:
            self._handle = None
            raise Conflict(f"another sink wrote to {self._location} meanwhile: {error}") from error
        except BaseException:
            self._handle = None
            raise
        self._commits += 1
        return int(prepared.rows.num_rows)

    def check(self) -> None:
        """Make a commit that adds nothing: it fails where the table itself takes no more rows, whatever they are."""
        handle = self._newest()
        try:
            write_deltalake(handle, pa.schema(handle.schema().to_arrow()).empty_table(), mode="append")
        except CommitFailedError:
            self._handle = None  # another sink's commit was taken, so the table takes commits
        except BaseException:
            self._handle = None
            raise

    def is_due_for_compaction(self, commits: int) -> bool:
        """Whether so many commits were made since the last compaction."""
        return self._commits >= commits

    def compact(self) -> None:
        """Merge small files, then delete files no version within the retention uses. Losing a race is no harm."""
        self._commits = 0
        handle = self._newest()
        try:
            handle.optimize.compact()
            handle.vacuum(
                retention_hours=int(self._retention.total_seconds() // 3600),
                dry_run=False,
                enforce_retention_duration=True,
                full=True,  # also what a killed sink wrote and never committed
            )
        except CommitFailedError:
            self._handle = None  # another sink compacts

    def _newest(self) -> DeltaTable:
        if self._handle is None:
            if not DeltaTable.is_deltatable(self._location):
                self._create()
            self._handle = DeltaTable(self._location)
        else:
            self._handle.update_incremental()
        return self._handle

    def _create(self) -> None:
        fields = list(self._columns)
        if self._partitioned:
            fields.append(pa.field(PARTITION, pa.string()))
        days = max(1, round(self._retention / timedelta(days=1)))
        DeltaTable.create(
            self._location,
            pa.schema(fields),
            mode="ignore",
            partition_by=[PARTITION] if self._partitioned else None,
            configuration={
                "delta.checkpointInterval": str(_CHECKPOINT_COMMITS),
                "delta.logRetentionDuration": f"interval {days + 1} days",
                "delta.deletedFileRetentionDuration": f"interval {days} days",
                "delta.dataSkippingStatsColumns": ",".join(
                    [self._time_column, *(name for name in _LOOKED_UP if name in self._columns.names)]
                ),
            },
        )


def _reached(prepared: Prepared, identity: str) -> int:
    """How far that stream or partition has got; below its first number where it is new."""
    if identity not in prepared.reached:
        version = prepared.handle.transaction_version(identity)
        if version is None:
            return -1
        prepared.reached[identity] = version
    return prepared.reached[identity]


def _features(schema: pa.Schema) -> list[tuple[str, pa.DataType]]:
    return [(field.name, field.type) for field in schema if field.name.startswith(FEATURE_PREFIX)]


def _fit(batch: pa.RecordBatch, known: dict[str, pa.DataType]) -> pa.Table | str:
    """The rows with features in the table's types; a sentence where a feature cannot be put into its column."""
    rows = pa.Table.from_batches([batch])
    spelled = {name.casefold(): name for name in known}
    for name, kind in _features(rows.schema):
        wanted = known.get(name)
        if wanted is None and name.casefold() in spelled:
            return (
                f"feature column {name} differs from the lake's {spelled[name.casefold()]} in capitals alone"
            )
        if wanted is None or wanted == kind:
            continue
        numbers = _is_number(wanted) and _is_number(kind)
        if not numbers and _family(wanted) != _family(kind):
            return f"feature column {name} has type {kind}, the lake's has {wanted}"
        try:
            index = rows.schema.get_field_index(name)
            rows = rows.set_column(index, pa.field(name, wanted), rows[name].cast(wanted))
        except pa.ArrowException as error:
            return f"feature column {name} has type {kind}, the lake's has {wanted}: {error}"
    return rows


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _family(kind: pa.DataType) -> str:
    """Types that differ only in how Arrow lays them out."""
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return "string"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return f"list of {kind.value_type}"
    return str(kind)
