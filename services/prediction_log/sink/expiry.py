"""Rows older than the lake keeps: deleted once a day, by when they arrived. A replay of old events is not old.

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

from services.prediction_log.sink.table_writer import TableWriter
from shared.contracts.lake_schema import OUTCOMES, PREDICTIONS
from shared.errors import HomeostatError
from shared.observability.logs import get_logger
from shared.stores.lake import Lake

_log = get_logger(__name__)
_ARRIVAL = {PREDICTIONS: "answered_at", OUTCOMES: "received_at"}
_DAY = timedelta(days=1)
_START = datetime(1970, 1, 1, tzinfo=UTC)
_RETRY_SECONDS = 60.0


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
        """Delete what is due, of whole days in UTC. A failure is logged, and tried again in a minute."""
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
                        table.remove(f"{arrival} < '{before.isoformat()}'", {})
                        table.compact()
                        _log.info("rows_expired", kind=kind, model=model, before=before.isoformat())
        except (HomeostatError, DeltaError, OSError) as error:
            _log.warning("rows_not_expired", error=str(error))
            self._retry = time.monotonic()
            return
        self._before = before


def has_rows_before(table: DeltaTable, column: str, before: datetime) -> bool:
    """Whether a file may have rows with an earlier time, by the statistics; a file without statistics may."""
    files = pa.table(table.get_add_actions(flatten=True))
    name = f"min.{column}"
    if not files.num_rows:
        return False
    if name not in files.column_names:
        return True
    first = files[name].cast(pa.timestamp("us")).cast(pa.int64())
    micros = int((before - _START) / timedelta(microseconds=1))
    return first.null_count > 0 or bool(pc.min(first).as_py() < micros)
