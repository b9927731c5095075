"""`homeostat log dead-letters`: what is listed, and that replayed rows are stored once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cli.checks.lake import dead_letters
from cli.log import dead_letters as dead_letters_module
from cli.log.dead_letters import send_again
from services.prediction_log.dead_letters import DeadLetter, send_dead_letter
from services.prediction_log.sink import sink as sink_module
from services.prediction_log.sink import table_writer
from services.prediction_log.sink.decoding import read_message
from shared.messaging.arrow import to_bytes
from shared.messaging.record_mac import AuthenticatingProducer
from shared.spool.encoding import encode_predictions
from shared.spool.record import FRAME, frame
from shared.stores.dead_letters import StoredDeadLetter, read_dead_letters
from shared.stores.lake import Lake
from tests.fakes.rows import NOON, append_outcomes, append_rows
from tests.unit.cli.command import run
from tests.unit.services.prediction_log.conftest import MAC, Log
from tests.unit.services.prediction_log.sink.test_sink import batch, flawed, put


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    log = Log(tmp_path)
    yield log
    log.spool.close()


def refuse(log: Log, monkeypatch: pytest.MonkeyPatch, *offsets: int) -> None:
    """A sink of an older release, which cannot read the records at these offsets."""

    def read(message: Any, *args: Any, **settings: Any) -> object:
        if message.offset in offsets:
            raise RuntimeError("an older release cannot read this")
        return read_message(message, *args, **settings)

    with monkeypatch.context() as older:
        older.setattr(sink_module, "read_message", read)
        log.drain()


def replay(log: Log) -> dict[str, str]:
    """By reason, what became of each dead letter."""
    producer = AuthenticatingProducer(log.broker.producer(), MAC)
    letters = [letter for letter in read_dead_letters(log.lake, values=True) if letter.waits]
    return {letter.reason: send_again(producer, log.lake, letter) for letter in letters}


def by_reason(log: Log) -> dict[str, StoredDeadLetter]:
    return {letter.reason: letter for letter in read_dead_letters(log.lake)}


def test_rows_are_stored_once_when_the_cause_is_removed(
    log: Log, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for first in (0, 3, 6):
        put(log, to_bytes(batch(first, 3)))
    refuse(log, monkeypatch, 1)
    assert log.ids() == ["w0", "w1", "w2", "w6", "w7", "w8"]
    letter = by_reason(log)["undecodable"]
    assert (letter.model, letter.kind, letter.is_replayed) == ("flights", "predictions", False)
    shown = json.loads(run("log", "dead-letters", "list", "--json", "--home", str(tmp_path)).stdout)
    assert [one["id"] for one in shown["dead_letters"]] == [letter.name]
    found = dead_letters(log.lake)
    assert (found.state, found.found, found.hint) == (
        "warning",
        "1 records: 1 undecodable",
        "homeostat log dead-letters list",
    )
    missing = log.metric("homeostat_sink_missing_rows_total", kind="predictions", model="flights")
    for _ in range(2):  # sent twice before the sink has read it
        assert replay(log) == {"undecodable": ""}
    log.drain()
    assert log.ids() == [f"w{number}" for number in range(9)]
    assert log.predictions().num_rows == 9
    assert by_reason(log)["undecodable"].is_replayed
    assert replay(log) == {}
    assert missing == log.metric("homeostat_sink_missing_rows_total", kind="predictions", model="flights")
    assert dead_letters(log.lake).state == "ok"
    assert "no dead letters" in run("log", "dead-letters", "list", "--home", str(tmp_path)).stdout
    assert letter.name in run("log", "dead-letters", "list", "--all", "--home", str(tmp_path)).stdout


def test_rows_of_the_spool_are_sent_again(log: Log) -> None:
    made = encode_predictions(
        model="flights", version="v", generation=1, event_time=NOON, answered_at=datetime.now(UTC),
        prediction_ids=["p0", "p1"], scores=[0.5, 0.5], columns={"distance": [1.0, 2.0]},
    )  # fmt: skip
    payload = b"".join(map(bytes, frame(7, made.head, made.tensors)))[FRAME.size :]
    letter = DeadLetter.unsendable(
        reason="encoding", detail="no common type", writer="w", epoch=1, stream="predictions/flights", sequence=7, rows=2,
        value=payload,
    )  # fmt: skip
    send_dead_letter(AuthenticatingProducer(log.broker.producer(), MAC), letter, "w", 1)
    log.drain()
    assert by_reason(log)["encoding"].model == "flights"
    assert replay(log) == {"encoding": ""}
    log.drain()
    assert log.ids() == ["p0", "p1"]


def test_what_remains_a_dead_letter_is_explained(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    put(log, to_bytes(flawed(0)))
    put(log, b"noise")
    put(log, to_bytes(batch(2)), ce_type=b"other")
    log.broker.put("homeostat.predictions", b"w", to_bytes(batch(3)), [])
    log.drain()
    problems = replay(log)
    assert "halffloat" in problems["schema"]
    assert problems["undecodable"].startswith("it cannot be read: ")
    assert "not sent by this installation" in problems["unauthenticated"]
    assert problems["headers"] == "", "the rows themselves are sound"
    log.drain()
    assert log.ids() == ["w2"]


def test_rows_that_a_dying_sink_has_stored_are_not_sent(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    for first in (0, 3):
        put(log, to_bytes(batch(first, 3)))
    refuse(log, monkeypatch, 1)
    put(log, to_bytes(batch(4, 2, writer="w")))  # two of its rows are in the lake under other numbers
    log.drain()
    assert replay(log) == {"undecodable": ""}
    log.drain()
    assert log.ids() == [f"w{number}" for number in range(6)]


def test_rows_that_the_lake_has_already_are_done(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    for first in (0, 3):
        put(log, to_bytes(batch(first, 3)))
    refuse(log, monkeypatch, 1)
    put(log, to_bytes(batch(3, 3)))  # the same rows, in a record that the sink can read
    log.drain()
    assert replay(log) == {"undecodable": ""}
    assert by_reason(log)["undecodable"].is_replayed
    assert dead_letters(log.lake).state == "ok"
    put(log, to_bytes(batch(6)))
    log.drain()
    assert log.ids() == [f"w{number}" for number in range(7)], "the running sink goes on"


def replay_by_command(log: Log, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The command, with the broker in this process."""

    def send(settings: object, lake: Lake, chosen: list[StoredDeadLetter]) -> dict[str, str]:
        producer = AuthenticatingProducer(log.broker.producer(), MAC)
        results = {letter.name: send_again(producer, lake, letter) for letter in chosen}
        log.drain()
        return results

    monkeypatch.setattr(dead_letters_module, "_send_all", send)
    monkeypatch.setattr(dead_letters_module, "find_home", lambda home, **_: home)  # no stack runs
    return run("log", "dead-letters", "replay", "--all", "--wait", "5", "--home", str(log.home))


def test_rows_that_are_refused_again_are_said_to_be(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    put(log, to_bytes(batch(0, 3)))
    log.drain()
    put(log, to_bytes(batch(3, 3)))
    with monkeypatch.context() as remaining:
        remaining.setattr(table_writer, "fit", lambda rows, known: "the column has another type")
        log.drain()
        first = by_reason(log)["schema"]
        said = replay_by_command(log, monkeypatch).stdout
    second, seen = read_dead_letters(log.lake)
    assert (seen.name, seen.is_replayed, seen.refused_again) == (first.name, False, second.name)
    assert f"refused again, see {second.name}" in said
    assert "stored" not in said
    listed = json.loads(run("log", "dead-letters", "list", "--json", "--home", str(log.home)).stdout)
    assert [one["id"] for one in listed["dead_letters"]] == [second.name], "the rows are listed once"
    every = json.loads(run("log", "dead-letters", "list", "--json", "--all", "--home", str(log.home)).stdout)
    assert [one["refused_again"] for one in every["dead_letters"]] == ["", second.name]
    assert dead_letters(log.lake).found == "1 records: 1 schema"
    assert "stored" in replay_by_command(log, monkeypatch).stdout
    assert log.ids() == [f"w{number}" for number in range(6)]
    assert dead_letters(log.lake).state == "ok"


def test_rows_that_cannot_be_read_again_wait_under_the_new_id(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    for first in (0, 3):
        put(log, to_bytes(batch(first, 3)))
    refuse(log, monkeypatch, 1)
    assert replay(log) == {"undecodable": ""}
    refuse(log, monkeypatch, 0)  # the first record in the partition of replays
    second, old = read_dead_letters(log.lake)
    assert (old.refused_again, old.waits, second.waits) == (second.name, False, True)
    assert replay(log) == {"undecodable": ""}
    log.drain()
    assert log.predictions().num_rows == 6
    assert dead_letters(log.lake).state == "ok"


def test_rows_that_one_sink_refused_and_another_stored_are_replayed(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    for first in (0, 3):
        put(log, to_bytes(batch(first, 3)))
    refuse(log, monkeypatch, 1)
    [letter] = read_dead_letters(log.lake)
    assert [replay(log), replay(log)] == [{"undecodable": ""}] * 2
    refuse(log, monkeypatch, 0)  # an older sink reads the first of both records in their partition
    assert [(one.name == letter.name, one.waits) for one in read_dead_letters(log.lake)] == [
        (False, True),
        (True, False),
    ]
    assert read_dead_letters(log.lake)[1].is_replayed
    assert replay(log) == {"undecodable": ""}
    log.drain()
    assert [one.is_replayed for one in read_dead_letters(log.lake)] == [True, True]
    assert log.predictions().num_rows == 6


def test_record_of_a_stranger_does_not_hide_a_dead_letter(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    for first in (0, 3):
        put(log, to_bytes(batch(first, 3)))
    refuse(log, monkeypatch, 1)
    letter = by_reason(log)["undecodable"]
    log.broker.put("homeostat.predictions", b"w", b"", [("ce_source", letter.source.encode())])
    log.drain()
    assert by_reason(log)["undecodable"].waits


def test_a_choice_is_required(tmp_path: Path) -> None:
    (tmp_path / "lake").mkdir()
    home = ("--home", str(tmp_path))
    assert "name the ids, or give --all" in run("log", "dead-letters", "replay", *home).stderr


def test_outcomes_are_replayed_when_their_prediction_has_come(tmp_path: Path) -> None:
    log, clock = Log(tmp_path), [datetime.now(UTC)]
    log.sink, log.consumer = log.new_sink(now=lambda: clock[0])
    append_outcomes(log.spool, 0, 2)
    log.drain()
    clock[0] += timedelta(days=2)
    log.drain()
    assert by_reason(log)["unknown_prediction"].rows == 2
    assert replay(log) == {"unknown_prediction": "the lake still has none of its predictions"}
    append_rows(log.spool, 0, 2)
    log.drain()
    for _ in range(2):
        assert replay(log) == {"unknown_prediction": ""}
    log.drain()
    assert by_reason(log)["unknown_prediction"].is_replayed
    outcomes = log.lake.read_outcomes("flights", NOON, NOON + timedelta(days=1))
    assert outcomes["prediction_id"].to_pylist() == ["0", "1"]
    joined = log.lake.read_joined("flights", NOON, NOON + timedelta(days=1))
    assert joined["outcome"].to_pylist() == [1.0, 1.0]
    clock[0] += timedelta(hours=2)
    log.drain()
    assert by_reason(log)["unknown_prediction"].is_replayed, "they are settled, and stay"
    log.spool.close()


def test_replayed_outcomes_without_prediction_are_refused_again(tmp_path: Path) -> None:
    log, clock = Log(tmp_path), [datetime.now(UTC)]
    log.sink, log.consumer = log.new_sink(now=lambda: clock[0])
    append_outcomes(log.spool, 0, 2)
    log.drain()
    clock[0] += timedelta(days=2)
    log.drain()
    append_rows(log.spool, 0, 1)
    log.drain()
    first = by_reason(log)["unknown_prediction"].name
    assert replay(log) == {"unknown_prediction": ""}
    log.drain()
    clock[0] += timedelta(hours=2)
    log.drain()
    letters = {letter.name: letter for letter in read_dead_letters(log.lake)}
    (second,) = letters.keys() - {first}
    assert (letters[first].refused_again, letters[second].rows, letters[second].waits) == (second, 1, True)
    log.spool.close()
