"""Records that decode and must not reach a table: one of them never holds up the rows behind it, nor those of other models."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from threading import Event as Flag
from threading import Thread
from typing import Any

import pyarrow as pa
import pytest

from services.prediction_log.sink import sink as sink_module
from services.prediction_log.sink.decoding import read_message
from services.prediction_log.sink.table_log import TableLog
from services.prediction_log.sink.table_writer import TableWriter
from shared.contracts.topics import OUTCOMES
from shared.messaging.arrow import CONTENT_TYPE, outcomes_batch, to_bytes
from shared.messaging.events import Event
from shared.messaging.interfaces import Message
from shared.spool.record import OutcomeRecord
from tests.fakes.rows import NOON, append_rows
from tests.unit.services.prediction_log.sink.test_sink import batch, flawed, put


def with_column(name: str, values: pa.Array, **declared: Any) -> pa.RecordBatch:
    return batch(1).append_column(pa.field(name, values.type, **declared), values)


def at(microseconds: int) -> pa.RecordBatch:
    rows = batch(1)
    index = rows.schema.get_field_index("event_time")
    moment = pa.array([microseconds]).cast(rows.schema.field(index).type)
    return rows.set_column(index, rows.schema.field(index), moment)


ONE = pa.array([1.0])
FLAWED: dict[str, tuple[pa.RecordBatch, str]] = {
    "time of day": (with_column("f_x", pa.array([1], pa.time32("s"))), "has type time32"),
    "duration": (with_column("f_x", pa.array([1], pa.duration("s"))), "has type duration"),
    "half floats": (with_column("f_x", pa.array([1.0], pa.float16())), "has type halffloat"),
    "numbers without sign": (with_column("f_x", pa.array([1], pa.uint64())), "has type uint64"),
    "dictionary": (with_column("f_x", pa.array(["a"]).dictionary_encode()), "has type dictionary"),
    "the partition's column": (
        with_column("month", pa.array(["2013-01"])),
        "month is not a column of the lake",
    ),
    "a column nobody knows": (with_column("colour", ONE), "colour is not a column of the lake"),
    "labels that are numbers": (with_column("label", ONE), "column label has type double, expected string"),
    "scores in double precision": (
        with_column("scores", pa.array([[1.0]])),
        "column scores has type list<item: double>, expected list<item: float>",
    ),
    "a column repeated": (with_column("f_distance", ONE), "f_distance appears twice"),
    "a column in capitals": (with_column("f_Distance", ONE), "f_Distance appears twice"),
    "the lake's column in capitals": (with_column("Epoch", ONE), "Epoch appears twice"),
    "no name": (with_column("f_", ONE), "not named after a valid feature"),
    "a name with a semicolon": (with_column("f_a;b", ONE), "not named after a valid feature"),
    "an impossible year": (at(2**62), "outside the years"),
    "a year before all years": (at(-(2**62)), "outside the years"),
}


@pytest.mark.parametrize("case", FLAWED)
def test_invalid_columns_become_a_dead_letter_counted_in_rows(log: Any, case: str) -> None:
    flawed, said = FLAWED[case]
    put(log, to_bytes(batch(0)))
    put(log, to_bytes(flawed))
    put(log, to_bytes(batch(2)))
    append_rows(log.spool, 0, 3, model="taxis")
    log.drain()
    put(log, to_bytes(batch(3)))
    log.drain()
    assert log.ids() == ["w0", "w2", "w3"]
    assert log.ids("taxis") == ["0", "1", "2"]
    [dead_letter] = log.dead_letters()
    assert (dead_letter["reason"], dead_letter["rows"], dead_letter["origin_offset"]) == ("schema", 1, 1)
    assert said in dead_letter["detail"]
    assert log.metric("homeostat_sink_missing_rows_total", kind="predictions", model="flights") == 0


def test_outcome_with_features_becomes_a_dead_letter(log: Any) -> None:
    now = datetime.now(UTC)
    good, flawed = (
        outcomes_batch([OutcomeRecord("flights", number, now, ["a"], [1.0], [NOON])], writer="w", epoch=1)
        for number in range(2)
    )
    for rows in (good, flawed.append_column("f_x", ONE)):
        event = Event.now(OUTCOMES.event_type, source="w", model="flights", content_type=CONTENT_TYPE)
        log.put(OUTCOMES.name, b"w", to_bytes(rows), event.headers())
    log.drain()
    assert log.metric("homeostat_sink_rows_total", kind="outcomes", model="flights") == 1
    assert [(dead_letter["reason"], dead_letter["rows"]) for dead_letter in log.dead_letters()] == [
        ("schema", 1)
    ]


@pytest.mark.parametrize(
    "declared",
    [
        {"nullable": False},
        {"metadata": {"delta.invariants": '{"expression": {"expression": "f_x > 5"}}'}},
        {"metadata": {"delta.generationExpression": "epoch + 1"}},
    ],
    ids=["not null", "invariant", "generated"],
)
def test_senders_field_metadata_does_not_reach_the_lake(log: Any, declared: dict[str, Any]) -> None:
    put(log, to_bytes(batch(0)))
    put(log, to_bytes(with_column("f_x", ONE, **declared)))
    put(log, to_bytes(batch(2)))
    log.drain()
    assert log.ids() == ["w0", "w1", "w2"]
    assert log.dead_letters() == []


def test_dead_letters_out_of_order_are_all_stored(log: Any) -> None:
    put(log, to_bytes(batch(0)))
    put(log, to_bytes(flawed(1)))  # found out when the table is looked at
    put(log, b"noise")  # found out before
    log.drain()
    assert sorted(
        (dead_letter["origin_offset"], dead_letter["reason"]) for dead_letter in log.dead_letters()
    ) == [
        (1, "schema"),
        (2, "undecodable"),
    ]


def refusing(identity: str) -> Callable[..., None]:
    """A lake that fails at one row in a way nobody foresaw."""

    append = TableLog.append

    def write(table: TableLog, rows: pa.Table, *arguments: Any, **settings: Any) -> None:
        if identity in rows["prediction_id"].to_pylist():
            raise Exception("External error: nobody foresaw this")
        append(table, rows, *arguments, **settings)

    return write


def test_record_with_unknown_commit_error_becomes_a_dead_letter(
    log: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        put(log, to_bytes(batch(number)))
    monkeypatch.setattr(TableLog, "append", refusing("w2"))
    log.drain()
    assert log.ids() == ["w0", "w1", "w3", "w4"]
    [dead_letter] = log.dead_letters()
    assert (dead_letter["reason"], dead_letter["rows"], dead_letter["origin_offset"]) == ("schema", 1, 2)
    assert dead_letter["value"] == to_bytes(batch(2))
    assert "nobody foresaw" not in dead_letter["detail"]
    assert log.metric("homeostat_sink_missing_rows_total", kind="predictions", model="flights") == 0
    log.broker.committed["sink"].clear()
    log.sink, log.consumer = log.new_sink()
    log.drain()
    assert len(log.dead_letters()) == 1


def test_record_with_unknown_decoding_error_becomes_a_dead_letter(
    log: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(message: Message, *args: Any, **settings: Any) -> object:
        if message.offset == 1:
            raise RuntimeError("nobody foresaw this")
        return read_message(message, *args, **settings)

    for number in range(3):
        put(log, to_bytes(batch(number)))
    monkeypatch.setattr(sink_module, "read_message", read)
    log.drain()
    assert log.ids() == ["w0", "w2"]
    assert [dead_letter["origin_offset"] for dead_letter in log.dead_letters()] == [1]


def test_unwritable_lake_makes_no_dead_letters_and_sink_survives(
    log: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        put(log, to_bytes(batch(number)))

    def fail(*_: object, **__: object) -> None:
        raise Exception("External error: nobody foresaw this")

    stop = Flag()
    thread = Thread(target=log.sink.run, args=(stop,))
    deadline = time.monotonic() + 60
    with monkeypatch.context() as broken:
        broken.setattr(TableLog, "append", fail)
        broken.setattr(TableWriter, "mark", fail)
        thread.start()
        while not log.sink.last_error and time.monotonic() < deadline:
            time.sleep(0.01)
    assert log.sink.last_error.startswith("unknown error ")
    while not log.broker.committed["sink"] and time.monotonic() < deadline:
        time.sleep(0.01)
    stop.set()
    thread.join(10)
    assert not thread.is_alive()
    assert log.ids() == ["w0", "w1", "w2"]
    assert log.dead_letters() == []
