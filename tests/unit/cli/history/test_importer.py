"""An import against the log as it runs: each row once, whatever is interrupted, and none of it taken for live traffic."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cli.history.content import CheckedFile
from cli.history.importer import Imported, import_rows
from shared.contracts.lake_schema import PARTITION
from shared.errors import DependencyUnavailable, OperatorError
from shared.messaging.arrow import to_bytes
from shared.messaging.record_mac import AuthenticatingProducer
from shared.stores.lake import Lake
from shared.stores.lake_statistics import count_observed
from shared.stores.prediction_lookup import find_prediction
from shared.stores.watermark_correction import Correction, correct_watermark
from tests.fakes.rows import NOON
from tests.unit.cli.history.conftest import HEADER, csv_rows
from tests.unit.services.prediction_log.conftest import MAC, Log
from tests.unit.services.prediction_log.sink.test_sink import batch, put

START, END = datetime(2012, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)


def bring(log: Log, file: CheckedFile, wait_s: float = 5) -> Imported:
    """Import the rows; the sink works whenever the import waits."""
    return import_rows(
        log.lake,
        AuthenticatingProducer(log.broker.producer(), MAC),
        "flights",
        file,
        wait_s=wait_s,
        sleep=lambda _: log.drain(),
    )


def rows_of(lake: Lake) -> Any:
    return lake.read_joined("flights", START, END)


def test_rows_and_outcomes_are_in_the_lake_as_imported(log: Log, checked: Callable[..., CheckedFile]) -> None:
    done = bring(log, checked(HEADER + csv_rows(0, 9)))
    assert (done.added, done.added_outcomes, done.known, done.dead) == (9, 6, 0, 0)
    rows = rows_of(log.lake)
    assert rows["f_distance"].to_pylist() == [row + 0.5 for row in range(9)]
    assert rows["f_note"].to_pylist() == [f"ps(n{row})" for row in range(9)], (
        "as inference would have logged it"
    )
    assert rows["outcome"].to_pylist() == [None if row % 3 == 2 else row % 2 for row in range(9)]
    assert rows["observed_at"].to_pylist()[0] == datetime(2013, 1, 1, 2, tzinfo=UTC), (
        "outcome.delay after the row"
    )
    assert set(rows["source"].to_pylist()) == {"import"}
    assert set(rows["generation"].to_pylist()) == {0}
    found = find_prediction(log.lake, rows["prediction_id"][4].as_py())
    assert found is not None
    assert (found["source"], found["outcome"], found["f_distance"]) == ("import", 0.0, 4.5)


def test_same_content_is_imported_once(log: Log, checked: Callable[..., CheckedFile]) -> None:
    bring(log, checked(HEADER + csv_rows(0, 9)))
    sent = len(log.broker.messages("homeostat.predictions"))
    again = bring(log, checked(HEADER + csv_rows(0, 9), "copy.csv"))
    assert (again.added, again.added_outcomes, again.known, again.known_outcomes) == (0, 0, 9, 6)
    assert len(log.broker.messages("homeostat.predictions")) == sent, "nothing was sent"
    # Another file with some of the same rows, in another order.
    lines = csv_rows(5, 9).splitlines(keepends=True)
    more = bring(log, checked(HEADER + "".join(reversed(lines)), "more.csv"))
    assert (more.added, more.known) == (5, 4)
    assert (more.added_outcomes, more.known_outcomes) == (4, 2)
    assert rows_of(log.lake)["f_distance"].to_pylist() == [row + 0.5 for row in range(14)]
    missing = log.metric("homeostat_sink_missing_rows_total", kind="predictions", model="flights")
    assert missing == 0, "rows that were stored before are no gap"


def test_equal_rows_of_a_file_are_all_kept(log: Log, checked: Callable[..., CheckedFile]) -> None:
    text = csv_rows(1, 1) * 3
    assert bring(log, checked(HEADER + text)).added == 3
    assert bring(log, checked(HEADER + text + csv_rows(2, 1), "more.csv")).added == 1
    assert rows_of(log.lake)["f_distance"].to_pylist() == [1.5, 1.5, 1.5, 2.5]


def test_corrected_outcome_is_added(log: Log, checked: Callable[..., CheckedFile]) -> None:
    line = "2013-01-01T00:00:00Z,1.5,AA,n,"
    bring(log, checked(f"{HEADER}{line}\n"))
    assert bring(log, checked(f"{HEADER}{line}0\n", "late.csv")).added_outcomes == 1
    corrected = bring(log, checked(f"{HEADER}{line}1\n", "corrected.csv"))
    assert (corrected.added, corrected.added_outcomes) == (0, 1)
    assert rows_of(log.lake)["outcome"].to_pylist() == [1.0]


def test_interrupted_import_goes_on(
    log: Log, checked: Callable[..., CheckedFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.history.records.RECORD_ROWS", 5)
    file = checked(HEADER + csv_rows(0, 40))
    producer = AuthenticatingProducer(log.broker.producer(), MAC)
    log.broker.fail_next(0)
    sent = 0

    def send(*arguments: Any) -> Any:
        nonlocal sent
        sent += 1
        if sent == 4:
            raise DependencyUnavailable("no broker answers")
        return AuthenticatingProducer(log.broker.producer(), MAC).send(*arguments)

    with monkeypatch.context() as broken:
        broken.setattr(producer, "send", send)
        with pytest.raises(DependencyUnavailable):
            import_rows(log.lake, producer, "flights", file, wait_s=1)
    log.sink.step()
    stored = log.lake.read_predictions("flights", START, END).num_rows
    assert stored == 15, "three records were sent"
    done = bring(log, file)
    assert (done.added, done.known) == (25, 15)
    assert rows_of(log.lake)["f_distance"].to_pylist() == [row + 0.5 for row in range(40)]


def test_records_that_were_sent_twice_are_stored_once(log: Log, checked: Callable[..., CheckedFile]) -> None:
    """The import is started again before the sink has read what was sent."""
    file = checked(HEADER + csv_rows(0, 9))
    for _ in range(2):
        with pytest.raises(OperatorError, match="has 0 of 9 rows and 0 of 6 outcomes"):
            import_rows(
                log.lake,
                AuthenticatingProducer(log.broker.producer(), MAC),
                "flights",
                file,
                wait_s=0,
                sleep=lambda _: None,
            )
    assert bring(log, file).added == 9
    assert rows_of(log.lake).num_rows == 9


def test_history_moves_no_watermark(log: Log, checked: Callable[..., CheckedFile]) -> None:
    put(log, to_bytes(batch(0, 2)))
    log.sink.step()
    newest = "2026-02-01T00:00:00Z,1.5,AA,n,1\n"
    bring(log, checked(HEADER + csv_rows(0, 3) + newest))
    assert log.lake.watermark("flights") == NOON, (
        "a row of history is later than the stream, and does not move it"
    )
    assert log.lake.latest_event_time("flights") == NOON
    assert log.lake.latest_observation("flights") is None
    assert [seen.generation for seen in log.lake.generations("flights", -1)] == [1]
    assert count_observed(log.lake, "flights", None) == 0
    put(log, to_bytes(batch(2, 1)))
    log.sink.step()
    assert log.lake.watermark("flights") == NOON
    far = log.metric("homeostat_sink_far_off_rows_total", kind="predictions", model="flights", side="behind")
    assert far == 0
    # What a person corrects is the stream; rows of history stay where they are.
    assert correct_watermark(
        log.lake.predictions("flights"), "event_time", NOON - timedelta(hours=1)
    ) == Correction(3, 0)
    table = log.lake.open(log.lake.predictions("flights"))
    assert table is not None
    months = set(table.to_pyarrow_table(columns=[PARTITION])[PARTITION].to_pylist())
    assert months == {"set-aside", "imported-2013-01", "imported-2026-02"}


def test_import_says_nothing_about_the_freshness_of_the_lake(
    log: Log, checked: Callable[..., CheckedFile]
) -> None:
    bring(log, checked(HEADER + csv_rows(0, 3)))
    assert log.metric("homeostat_sink_last_row_timestamp_seconds", kind="predictions", model="flights") == 0
    assert log.metric("homeostat_sink_rows_total", kind="predictions", model="flights") == 3
