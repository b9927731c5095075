"""Rows are deleted by the time they arrived, whole days at once; what is younger stays, however old its events are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from services.prediction_log.sink.expiry import has_rows_before
from services.prediction_log.sink.table_writer import TableWriter
from shared.contracts.lake_schema import PARTITION, SOURCE
from shared.contracts.topics import OUTCOMES, PREDICTIONS
from shared.messaging.arrow import CONTENT_TYPE, outcomes_batch, predictions_batch, to_bytes
from shared.messaging.events import Event
from shared.spool.record import OutcomeRecord, PredictionRecord
from tests.fakes.rows import NOON, append_outcomes, append_rows

DAY = timedelta(days=1)


@pytest.fixture
def ahead() -> list[timedelta]:
    """How far the sink's clock is ahead, as its last entry."""
    return [timedelta(0)]


@pytest.fixture
def filled(log: Any, ahead: list[timedelta]) -> Any:
    """A lake with events of 2013 that arrived now; the sink keeps 30 days."""
    now = lambda: datetime.now(UTC) + ahead[-1]  # noqa: E731
    log.sink, log.consumer = log.new_sink(keep=30 * DAY, hold=1000 * DAY, now=now)
    append_rows(log.spool, 0, 4)
    append_outcomes(log.spool, 0, 4)
    log.drain()
    return log


def left(log: Any) -> tuple[int, int]:
    outcomes = log.lake.read_outcomes("flights", NOON - DAY, NOON + DAY)
    return log.predictions().num_rows, outcomes.num_rows


def test_rows_are_deleted_when_they_have_been_there_long_enough(filled: Any, ahead: list[timedelta]) -> None:
    assert left(filled) == (4, 4)
    ahead.append(29 * DAY)
    filled.drain()
    assert left(filled) == (4, 4)
    ahead.append(31 * DAY + timedelta(hours=1))
    filled.drain()
    assert left(filled) == (0, 0)
    append_rows(filled.spool, 4, 2)
    filled.drain()
    assert left(filled) == (2, 0), "the table takes rows as before"


def test_rows_without_partition_are_deleted_too(filled: Any, ahead: list[timedelta]) -> None:
    place = filled.lake.predictions("flights")
    rows = DeltaTable(place).to_pyarrow_table()
    without = rows.set_column(rows.column_names.index(PARTITION), PARTITION, pa.nulls(4, pa.string()))
    write_deltalake(place, without, mode="overwrite")
    ahead.append(31 * DAY + timedelta(hours=1))
    filled.drain()
    assert DeltaTable(place).to_pyarrow_dataset().count_rows() == 0


def put_import(log: Any, writer: str) -> None:
    """Two rows of history with outcomes, as `homeostat import` sends them."""
    source = pa.array(["import"] * 2, pa.string())
    rows = PredictionRecord(
        model="flights", sequence=0, version="import", generation=0, event_time=NOON, answered_at=NOON,
        prediction_ids=[f"{writer}{row}" for row in range(2)], scores=[0.5] * 2, columns={"distance": [1.0, 2.0]},
    )  # fmt: skip
    truths = OutcomeRecord("flights", 0, datetime.now(UTC), rows.prediction_ids, [1.0, 1.0], [NOON, NOON])
    for topic, batch in (
        (PREDICTIONS, predictions_batch([rows], writer=writer, epoch=1)),
        (OUTCOMES, outcomes_batch([truths], writer=writer, epoch=1)),
    ):
        event = Event.now(topic.event_type, source=writer, model="flights", content_type=CONTENT_TYPE)
        log.put(topic.name, b"import", to_bytes(batch.append_column(SOURCE, source)), event.headers())


def test_imported_rows_are_as_old_as_their_import(filled: Any, ahead: list[timedelta]) -> None:
    """Their event times, and so the times of their answers, are years old."""
    put_import(filled, "first")
    filled.drain()
    ahead.append(DAY)
    filled.drain()
    assert left(filled) == (6, 6)
    ahead.append(20 * DAY)
    put_import(filled, "second")
    filled.drain()
    ahead.append(21 * DAY)
    filled.drain()
    ahead.append(33 * DAY)
    filled.drain()
    assert (filled.ids(), left(filled)) == (["second0", "second1"], (2, 2))
    ahead.append(53 * DAY)
    filled.drain()
    assert left(filled) == (0, 0)


def test_unknown_error_stops_no_rows(
    filled: Any, ahead: list[timedelta], monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead.append(32 * DAY)

    def fail(*_: object) -> None:
        raise OverflowError

    monkeypatch.setattr("services.prediction_log.sink.expiry.has_rows_before", fail)
    append_rows(filled.spool, 4, 2)
    filled.drain()
    assert left(filled) == (6, 4)


def test_failure_is_tried_again_and_stops_no_rows(
    filled: Any, ahead: list[timedelta], monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead.append(32 * DAY)

    def die(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(TableWriter, "remove", die)
        append_rows(filled.spool, 4, 2)
        filled.drain()
    assert left(filled) == (6, 4)
    monkeypatch.setattr("services.prediction_log.sink.expiry._RETRY_SECONDS", 0.0)
    filled.drain()
    assert left(filled) == (0, 0)


def test_old_version_stays_readable_for_those_who_have_opened_it(
    filled: Any, ahead: list[timedelta], tmp_path: Path
) -> None:
    before = DeltaTable(filled.lake.predictions("flights"))
    ahead.append(32 * DAY)
    filled.drain()
    assert left(filled) == (0, 0)
    assert before.to_pyarrow_dataset().count_rows() == 4


def test_files_say_whether_they_have_old_rows(filled: Any) -> None:
    table = DeltaTable(filled.lake.predictions("flights"))
    now = datetime.now(UTC)
    assert not has_rows_before(table, "answered_at", now - DAY)
    assert has_rows_before(table, "answered_at", now + DAY)
    assert has_rows_before(table, "sequence", now), "a column without statistics"
