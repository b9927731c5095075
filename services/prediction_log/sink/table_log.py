"""The log of a Delta table as its writer knows it, and the commits that only add rows.

A sink commits twice a second, and delta-rs lists the log several times for each commit: 70 ms of CPU time with the
commits of an hour in it. So what was read of a version is kept, and such a commit is written here:

1. Write the rows as Parquet files.
2. Put entry N + 1 of the log if there is none, N being the version that is known. If there is one, another commit came first: the
   caller reads everything anew.
3. Look whether entry N is still there. Clean-up deletes the oldest entries first: if N is gone, an entry N + 1 may have been
   deleted before step 2, and the rows are in no version.

All other commits go through delta-rs: those that add columns or have rows without partition, and each that is followed by a
checkpoint and clean-up of the log.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError

from services.prediction_log.sink.compaction import ROW_GROUPS
from services.prediction_log.sink.table_properties import CHECKPOINT_COMMITS, ROW_GROUP_ROWS
from shared.contracts.event_time import EPOCH, INSTANT, MAX_TIME, MIN_TIME
from shared.contracts.lake_schema import PARTITION
from shared.errors import Conflict
from shared.stores.tables.log_files import LogFiles


class TableLog:
    """The log of one table. `statistics`: columns whose ranges each entry has. One per table and process."""

    def __init__(self, handle: DeltaTable, statistics: Sequence[str], *, partitioned: bool) -> None:
        self._handle = handle
        self._files = LogFiles(_location(handle.table_uri))
        self._statistics = statistics
        self._partitioned = partitioned
        self._know()

    @property
    def handle(self) -> DeltaTable:
        """The table as delta-rs read it last: rows that were appended since then are missing, columns are not."""
        return self._handle

    def refresh(self) -> bool:
        """Read the newest version; whether there were commits of others since the last one that is known."""
        known = self.version
        self._handle.update_incremental()
        if self._handle.version() == known:
            return False
        self._know()
        return True

    def mark_of(self, name: str) -> int:
        """The version of an application transaction; -1 if there is none."""
        if name not in self._marks:
            found = self._handle.transaction_version(name)
            self._marks[name] = -1 if found is None else found
        return self._marks[name]

    def append(self, rows: pa.Table, marks: Mapping[str, int], *, after: int) -> None:
        """Commit rows and application transactions as the next version. Raises Conflict where `after` is not the newest one."""
        if self.version != after:
            raise Conflict(f"another commit came first: version {self.version} is known")
        is_checked = (self.version + 1) % CHECKPOINT_COMMITS == 0
        if rows.num_rows == 0 or is_checked or not self._is_plain(rows):
            self._append_by_delta(rows, marks)
            if is_checked:
                self._clean_up()
        else:
            self._append(rows, marks)
        self._marks.update(marks)

    def _know(self) -> None:
        self.version = self._handle.version()
        self.schema = pa.schema(self._handle.schema().to_arrow())
        self._marks: dict[str, int] = {}

    def _is_plain(self, rows: pa.Table) -> bool:
        """Whether the table has all columns of the rows, and each row has a partition."""
        known = {field.name: field.type for field in self.schema}
        has_columns = all(known.get(field.name) == field.type for field in rows.schema)
        return has_columns and not (self._partitioned and rows[PARTITION].null_count)

    def _append_by_delta(self, rows: pa.Table, marks: Mapping[str, int]) -> None:
        if self.refresh():
            raise Conflict("another commit came first")
        try:
            write_deltalake(
                self._handle,
                rows,
                mode="append",
                schema_mode="merge",
                writer_properties=ROW_GROUPS,
                commit_properties=transactions(marks),
            )
        except CommitFailedError as error:
            raise Conflict(f"another commit came first: {error}") from error
        self._know()

    def _clean_up(self) -> None:
        """Write a checkpoint, and delete entries beyond the retention. What fails is left for the next one."""
        with suppress(DeltaError, OSError):
            self._handle.create_checkpoint()
            self._handle.cleanup_metadata()

    def _append(self, rows: pa.Table, marks: Mapping[str, int]) -> None:
        now = int(time.time() * 1000)
        actions: list[dict[str, Any]] = [
            {
                "commitInfo": {
                    "timestamp": now,
                    "operation": "WRITE",
                    "operationParameters": {"mode": "Append"},
                }
            }
        ]
        actions += [
            {"txn": {"appId": name, "version": version, "lastUpdated": now}}
            for name, version in marks.items()
        ]
        for values, part in self._parts(rows):
            path, size = self._write(values, part)
            actions.append(
                {
                    "add": {
                        "path": path,
                        "partitionValues": values,
                        "size": size,
                        "modificationTime": now,
                        "dataChange": True,
                        "stats": orjson.dumps(ranges(part, self._statistics)).decode(),
                    }
                }
            )
        entry = b"\n".join(map(orjson.dumps, actions)) + b"\n"
        if not self._files.put_entry(self.version + 1, entry) or not self._files.has_entry(self.version):
            raise Conflict(f"another commit came first: version {self.version + 1} exists")
        self.version += 1

    def _parts(self, rows: pa.Table) -> Iterator[tuple[dict[str, str], pa.Table]]:
        """The rows of each partition, with the columns of the table."""
        columns = [
            rows[field.name] if field.name in rows.column_names else pa.nulls(rows.num_rows, field.type)
            for field in self.schema
        ]
        full = pa.table(columns, schema=self.schema)
        if not self._partitioned:
            yield {}, full
            return
        data = full.drop_columns([PARTITION])
        months = pc.unique(full[PARTITION]).to_pylist()
        for month in months:
            yield (
                {PARTITION: month},
                data if len(months) == 1 else data.filter(pc.equal(full[PARTITION], month)),
            )

    def _write(self, values: Mapping[str, str], rows: pa.Table) -> tuple[str, int]:
        folder = "".join(f"{name}={value}/" for name, value in values.items())
        path = f"{folder}part-00000-{uuid4()}-c000.snappy.parquet"
        sink = pa.BufferOutputStream()
        pq.write_table(rows, sink, compression="snappy", row_group_size=ROW_GROUP_ROWS, store_schema=False)
        content = sink.getvalue()
        self._files.put(path, content.to_pybytes())
        return path, len(content)


def transactions(marks: Mapping[str, int]) -> CommitProperties:
    """Properties of a commit by delta-rs that stores these application transactions.

    Without retries: delta-rs would put an append after another one with other transactions, which its writer has not read.
    """
    stored = [Transaction(name, version) for name, version in marks.items()]
    return CommitProperties(app_transactions=stored, max_commit_retries=0)


def _location(uri: str) -> str:
    """The folder or the address of the store that delta-rs means."""
    return unquote(uri.removeprefix("file://")) if uri.startswith("file://") else uri


def ranges(rows: pa.Table, columns: Sequence[str]) -> dict[str, Any]:
    """The statistics of a file as Delta has them: smallest and greatest values of these columns, and how many are null."""
    found: dict[str, Any] = {"numRecords": rows.num_rows, "minValues": {}, "maxValues": {}, "nullCount": {}}
    for name in columns:
        if name not in rows.column_names:
            continue
        values = rows[name]
        found["nullCount"][name] = values.null_count
        is_time = pa.types.is_timestamp(values.type)
        # Not as Python's times: one beyond the year 9999 would fail here for ever, and as null it only makes no range.
        ends = pc.min_max(
            values.cast(pa.timestamp("us", "UTC")).cast(pa.int64()) if is_time else values
        ).as_py()
        first, last = (_time(ends[end]) if is_time else ends[end] for end in ("min", "max"))
        if first is not None and last is not None:
            found["minValues"][name], found["maxValues"][name] = first, last
    return found


def _time(micros: int | None) -> str | None:
    """A time in the JSON of statistics, cut to milliseconds; None where it has no form there."""
    if micros is None or not MIN_TIME <= micros <= MAX_TIME:
        return None
    moment = EPOCH + micros * INSTANT
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
