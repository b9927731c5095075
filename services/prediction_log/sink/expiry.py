"""Rows older than the lake keeps: deleted once a day, by when they arrived. A replay of old events is not old.

An imported prediction says that it was answered at its event time. So when the import came is stored beside the rows: by the
first of these daily looks that finds it, as an application transaction of the table.

What a version was trained on stays readable: a run copies its rows into files of its own, and a version has its reference.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from services.prediction_log.sink.held_outcomes import quoted
from services.prediction_log.sink.table_writer import TableWriter
from shared.contracts.lake_schema import (
    IMPORTED_PARTITION,
    OUTCOMES,
    PARTITION,
    PREDICTIONS,
    imported_transaction,
)
from shared.errors import HomeostatError
from shared.observability.logs import get_logger, log_unknown_error
from shared.stores.lake import Lake

_log = get_logger(__name__)
_ARRIVAL = {PREDICTIONS: "answered_at", OUTCOMES: "received_at"}
_DAY = timedelta(days=1)
_START = datetime(1970, 1, 1, tzinfo=UTC)
_RETRY_SECONDS = 60.0
_OF_THE_STREAM = f"({PARTITION} IS NULL OR {PARTITION} NOT LIKE '{IMPORTED_PARTITION}%')"


class Expiry:
    """Deletes rows that arrived more than `keep` ago (None: keeps all). `table`: the writer of a kind of rows of a model."""

    def __init__(
        self,
        lake: Lake,
        keep: timedelta | None,
        table: Callable[[str, str], TableWriter],
        now: Callable[[], datetime],
    ) -> None:
        self._lake = lake
        self._keep = keep
        self._table = table
        self._now = now
        self._before = _START
        self._retry = -_RETRY_SECONDS

    def expire(self) -> None:
        """Delete what is due, of whole days in UTC. A failure is logged, and tried again in a minute: none is raised."""
        if self._keep is None:
            return
        before = _START + (self._now() - self._keep - _START) // _DAY * _DAY
        if before <= self._before or time.monotonic() < self._retry + _RETRY_SECONDS:
            return
        try:
            for kind, arrival in _ARRIVAL.items():
                for model in self._lake.models(kind):
                    table = self._table(kind, model)
                    if has_rows_before(table.newest(), arrival, before):
                        table.remove(f"{arrival} < '{before.isoformat()}' AND {_OF_THE_STREAM}", {})
                        self._say(table, kind, model, before)
                    if self._expire_imports(table, before):
                        self._say(table, kind, model, before)
        except Exception as error:
            is_known = isinstance(error, HomeostatError | DeltaError | OSError)
            problem = str(error) if is_known else f"unknown error {log_unknown_error(_log, error)}"
            _log.warning("rows_not_expired", error=problem)
            self._retry = time.monotonic()
            return
        self._before = before

    def _expire_imports(self, table: TableWriter, before: datetime) -> bool:
        """Store when imports came, and delete those that came before; whether there were any."""
        handle = table.newest()
        came = {
            writer: handle.transaction_version(imported_transaction(writer))
            for writer in imported_writers(handle)
        }
        new = [writer for writer, micros in came.items() if micros is None]
        if new:
            table.mark(dict.fromkeys(map(imported_transaction, new), micros_of(self._now())))
        old = [writer for writer, micros in came.items() if micros is not None and micros < micros_of(before)]
        for writer in old:
            table.remove(f"{PARTITION} LIKE '{IMPORTED_PARTITION}%' AND writer = '{quoted(writer)}'", {})
        return bool(old)

    def _say(self, table: TableWriter, kind: str, model: str, before: datetime) -> None:
        table.compact()
        _log.info("rows_expired", kind=kind, model=model, before=before.isoformat())


def imported_writers(table: DeltaTable) -> list[str]:
    """The writers of imported rows."""
    files = pa.table(table.get_add_actions(flatten=True))
    if f"partition.{PARTITION}" not in files.column_names:
        return []
    months = files[f"partition.{PARTITION}"].cast(pa.string())
    if not pc.any(pc.starts_with(months, IMPORTED_PARTITION)).as_py():
        return []
    dataset = table.to_pyarrow_dataset()
    rows = dataset.to_batches(
        columns=["writer"], filter=pc.starts_with(pc.field(PARTITION), IMPORTED_PARTITION)
    )
    return sorted({writer for batch in rows for writer in pc.unique(batch["writer"]).to_pylist()})


def has_rows_before(table: DeltaTable, column: str, before: datetime) -> bool:
    """Whether a file may have rows of the stream with an earlier time, by the statistics; a file without statistics may."""
    files = pa.table(table.get_add_actions(flatten=True))
    if f"partition.{PARTITION}" in files.column_names:
        months = files[f"partition.{PARTITION}"].cast(pa.string())
        files = files.filter(pc.invert(pc.fill_null(pc.starts_with(months, IMPORTED_PARTITION), False)))
    name = f"min.{column}"
    if not files.num_rows:
        return False
    if name not in files.column_names:
        return True
    first = files[name].cast(pa.timestamp("us")).cast(pa.int64())
    return first.null_count > 0 or bool(pc.min(first).as_py() < micros_of(before))


def micros_of(moment: datetime) -> int:
    """Microseconds since 1970."""
    return (moment - _START) // timedelta(microseconds=1)
