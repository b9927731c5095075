"""Outcomes of predictions that are not in the lake: each is in the outcomes table or in one dead letter, whatever dies."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from services.prediction_log.sink.held_outcomes import dead_letters_of
from services.prediction_log.sink.table_writer import TableWriter
from shared.contracts.lake_schema import OUTCOME_COLUMNS
from shared.messaging.arrow import from_bytes
from shared.stores.queries.unmatched_outcomes import unmatched_outcomes
from tests.fakes.rows import NOON, append_outcomes, append_rows

HOLD = timedelta(hours=24)
DAY = timedelta(days=1)


class Clock:
    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@pytest.fixture
def clock(log: Any) -> Clock:
    clock = Clock()
    log.sink, log.consumer = log.new_sink(hold=HOLD, now=clock)
    return clock


def outcomes(log: Any) -> list[str]:
    table = log.lake.read_outcomes("flights", NOON - DAY, NOON + DAY)
    return sorted(table["prediction_id"].to_pylist())


def unknown(log: Any) -> list[tuple[int, list[str]]]:
    """Rows of each dead letter of that reason, and the ids in it."""
    return [
        (one["rows"], from_bytes(one["value"], columns=OUTCOME_COLUMNS)["prediction_id"].to_pylist())
        for one in log.dead_letters()
        if one["reason"] == "unknown_prediction"
    ]


def test_outcome_is_held_then_becomes_a_dead_letter(log: Any, clock: Clock) -> None:
    append_rows(log.spool, 0, 3)
    append_outcomes(log.spool, 0, 5)
    log.drain()
    clock.ahead = HOLD - timedelta(minutes=5)
    log.drain()
    assert (outcomes(log), unknown(log)) == (["0", "1", "2", "3", "4"], []), "held"
    clock.ahead = HOLD + timedelta(hours=2)
    log.drain()
    assert (outcomes(log), unknown(log)) == (["0", "1", "2"], [(2, ["3", "4"])])
    letter = log.dead_letters()[0]
    assert (letter["origin_topic"], letter["detail"]) == (
        "homeostat.outcomes",
        "the lake had no prediction with these ids 24 h after they were received",
    )
    assert log.metric("homeostat_sink_dead_letters_total", reason="unknown_prediction") == 1
    log.sink, log.consumer = log.new_sink(hold=HOLD, now=clock)
    log.drain()
    assert (outcomes(log), len(unknown(log))) == (["0", "1", "2"], 1), "a restart changes nothing"


def test_outcome_before_its_prediction_is_kept(log: Any, clock: Clock) -> None:
    append_outcomes(log.spool, 0, 2)
    log.drain()
    append_rows(log.spool, 0, 2)
    log.drain()
    clock.ahead = HOLD + timedelta(hours=2)
    log.drain()
    assert (outcomes(log), unknown(log)) == (["0", "1"], [])


def test_model_whose_predictions_were_all_lost_is_settled(log: Any, clock: Clock) -> None:
    append_outcomes(log.spool, 0, 1)
    log.drain()
    clock.ahead = HOLD + timedelta(hours=2)
    log.drain()
    assert (outcomes(log), unknown(log)) == ([], [(1, ["0"])])


def test_crash_before_rows_are_deleted_makes_one_dead_letter(
    log: Any, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    append_outcomes(log.spool, 0, 3)
    log.drain()
    clock.ahead = HOLD + timedelta(hours=2)

    def die(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(TableWriter, "remove", die)
        log.drain()
    assert (outcomes(log), len(unknown(log))) == (["0", "1", "2"], 1)
    log.sink, log.consumer = log.new_sink(hold=HOLD, now=clock)
    log.drain()
    assert (outcomes(log), unknown(log)) == ([], [(3, ["0", "1", "2"])])


def test_outcome_that_reaches_the_lake_late_is_settled_too(log: Any, clock: Clock) -> None:
    append_rows(log.spool, 0, 1)
    append_outcomes(log.spool, 0, 1)
    append_outcomes(log.spool, 5, 1)
    log.drain()
    clock.ahead = HOLD + timedelta(hours=2)
    log.drain()
    assert unknown(log) == [(1, ["5"])]
    append_outcomes(log.spool, 6, 1)  # received a day before the sink's time
    log.drain()
    assert outcomes(log) == ["0", "6"]
    clock.ahead += timedelta(hours=1)
    log.drain()
    assert outcomes(log) == ["0"]
    assert unknown(log) == [(1, ["5"]), (1, ["6"])] or unknown(log) == [(1, ["6"]), (1, ["5"])]


def test_clock_of_another_age_stops_nothing(log: Any, clock: Clock) -> None:
    for moment in (datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), datetime(1, 1, 1, tzinfo=UTC)):
        log.spool.append_outcomes(
            model="flights", received_at=moment, prediction_ids=["x"], values=[1.0], observed_at=[NOON]
        )
    append_outcomes(log.spool, 5, 1)
    log.drain()
    clock.ahead = HOLD + timedelta(hours=2)
    append_rows(log.spool, 0, 1)
    log.drain()
    assert (log.ids(), sorted(unknown(log))) == (["0"], [(1, ["5"]), (1, ["x"])])
    assert outcomes(log) == ["x"], "what is received in the last year waits for it"


def test_unknown_error_stops_no_rows(log: Any, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    append_outcomes(log.spool, 5, 1)
    log.drain()
    clock.ahead = HOLD + timedelta(hours=2)

    def fail(*_: object) -> None:
        raise OverflowError

    with monkeypatch.context() as broken:
        broken.setattr("services.prediction_log.sink.held_outcomes.unmatched_outcomes", fail)
        append_rows(log.spool, 0, 1)
        log.drain()
    assert (log.ids(), outcomes(log)) == (["0"], ["5"])


@pytest.mark.parametrize("is_late", [True, False], ids=["before what is settled", "in the same window"])
def test_outcome_that_another_sink_stores_meanwhile_is_not_lost(
    log: Any, clock: Clock, monkeypatch: pytest.MonkeyPatch, is_late: bool
) -> None:
    """It comes between the look at the predictions and the deletion, and is about the same prediction."""
    append_outcomes(log.spool, 5, 1)
    log.drain()
    other, _ = log.new_sink(group="other")
    clock.ahead = HOLD + timedelta(hours=2)
    received, came = datetime.now(UTC) - timedelta(hours=3 if is_late else 0), list[bool]()

    def late(*arguments: Any) -> Any:
        found = unmatched_outcomes(*arguments)
        if came:
            return found
        came.append(True)
        log.spool.append_outcomes(
            model="flights", received_at=received, prediction_ids=["5"], values=[0.0], observed_at=[NOON]
        )
        log.shipper.step()
        for _ in range(3):
            other.step()
        return found

    monkeypatch.setattr("services.prediction_log.sink.held_outcomes.unmatched_outcomes", late)
    monkeypatch.setattr("services.prediction_log.sink.held_outcomes._RETRY_SECONDS", 0.0)
    for _ in range(3):
        log.drain()
        clock.ahead += timedelta(hours=1)
    letters = [one for one in log.dead_letters() if one["reason"] == "unknown_prediction"]
    values = [from_bytes(one["value"], columns=OUTCOME_COLUMNS)["value"].to_pylist() for one in letters]
    assert (sorted(values), outcomes(log)) == ([[0.0], [1.0]], [])


def test_outcome_that_comes_while_others_are_found_right_is_looked_at_again(
    log: Any, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is deleted then: how far the table is settled is all that is stored."""
    append_rows(log.spool, 5, 1)
    append_outcomes(log.spool, 5, 1)
    log.drain()
    other, _ = log.new_sink(group="other")
    clock.ahead = HOLD + timedelta(hours=2)
    came = list[bool]()

    def late(*arguments: Any) -> Any:
        found = unmatched_outcomes(*arguments)
        if not came:
            came.append(True)
            log.spool.append_outcomes(
                model="flights", received_at=datetime.now(UTC), prediction_ids=["9"], values=[0.0], observed_at=[NOON]
            )  # fmt: skip
            log.shipper.step()
            for _ in range(3):
                other.step()
        return found

    monkeypatch.setattr("services.prediction_log.sink.held_outcomes.unmatched_outcomes", late)
    monkeypatch.setattr("services.prediction_log.sink.held_outcomes._RETRY_SECONDS", 0.0)
    for _ in range(3):
        log.drain()
        clock.ahead += timedelta(hours=1)
    letters = [one for one in log.dead_letters() if one["reason"] == "unknown_prediction"]
    values = [from_bytes(one["value"], columns=OUTCOME_COLUMNS)["value"].to_pylist() for one in letters]
    assert (came, values, outcomes(log)) == ([True], [[0.0]], ["5"])


def test_dead_letters_are_of_one_writer_and_of_bounded_size() -> None:
    row = {
        "prediction_id": "p", "value": 1.0, "observed_at": NOON, "received_at": NOON, "writer": "a", "epoch": 1,
        "traceparent": "",
    }  # fmt: skip
    rows = [{**row, "sequence": number} for number in range(1500)]
    rows += [{**row, "writer": "b", "sequence": number} for number in range(2)]
    rows += [{**row, "writer": "b", "epoch": 2, "sequence": number} for number in range(3)]
    table = pa.Table.from_pylist(rows, OUTCOME_COLUMNS)
    letters = list(dead_letters_of("flights", table, HOLD))
    assert [(one.rows, one.origin_offset) for one in letters] == [(1000, 0), (500, 1000), (2, 0), (3, 0)]
    assert len({(one.origin, one.origin_offset) for one in letters}) == 4
    again = list(dead_letters_of("flights", table, HOLD))
    assert [one.origin for one in again] == [one.origin for one in letters]
    assert [one.origin for one in dead_letters_of("flights", table.slice(1), HOLD)] != [
        one.origin for one in letters
    ]
