"""Rows are deleted by the time they arrived, whole days at once; what is younger stays, however old its events are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from services.prediction_log.sink.expiry import has_rows_before
from services.prediction_log.sink.table_writer import TableWriter
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


def test_failure_is_tried_again_and_stops_no_rows(
    filled: Any, ahead: list[timedelta], monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead.append(32 * DAY)

    def die(*_: object) -> None:
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
