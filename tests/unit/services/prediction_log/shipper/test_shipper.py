from __future__ import annotations

import math
import os
import time
from datetime import UTC, datetime, timedelta
from threading import Event, Thread
from typing import Any

import numpy as np
import pytest

from services.prediction_log.shipper import shipper as shipper_module
from shared.contracts.lake_schema import PREDICTION_COLUMNS
from shared.contracts.topics import DEAD_LETTERS, OUTCOMES, PREDICTIONS
from shared.errors import DependencyUnavailable
from shared.messaging.arrow import from_bytes
from shared.messaging.events import Event as CloudEvent
from shared.messaging.interfaces import Message
from shared.spool import SpoolWriter
from shared.spool import reader as reader_module
from shared.spool.reader import SpoolReader
from tests.fakes.kafka import FakeBroker, FakeDelivery
from tests.fakes.rows import append_outcomes, append_rows
from tests.waiting import time_factor


def sequences(messages: list[Message]) -> list[list[int]]:
    return [
        from_bytes(message.value, columns=PREDICTION_COLUMNS)["sequence"].to_pylist() for message in messages
    ]


def test_rows_are_sent_as_one_batch_with_attributes(log: Any) -> None:
    append_rows(log.spool, 0, 2)
    append_rows(log.spool, 2, 1)
    append_outcomes(log.spool, 0)
    assert log.shipper.step() == 4
    [message] = log.broker.messages(PREDICTIONS.name)
    event = CloudEvent.from_headers(message.headers)
    assert message.key == log.spool.writer.encode()
    assert (event.type, event.source, event.model) == (PREDICTIONS.event_type, log.spool.writer, "flights")
    assert event.traceparent == "00-" + "1" * 32 + "-" + "2" * 16 + "-01"
    assert sequences([message]) == [[0, 1, 2]]
    assert len(log.broker.messages(OUTCOMES.name)) == 1
    assert log.metric("homeostat_shipper_rows_total", kind="predictions", model="flights") == 3


def test_metrics_of_last_delivery_and_oldest_unacknowledged_row(log: Any) -> None:
    delivered = "homeostat_shipper_last_delivery_timestamp_seconds"
    age = "homeostat_shipper_oldest_row_age_seconds"
    assert math.isnan(log.metric(delivered))
    assert log.metric(age) == 0
    begun = time.time()
    append_rows(log.spool, 0)
    log.shipper.step()
    first = log.metric(delivered)
    assert begun <= first <= time.time()
    assert log.metric(age) == 0

    now = datetime.now(UTC)
    append_outcomes(log.spool, 0)
    append_rows(log.spool, 1)
    log.broker.down = True
    log.ship_badly()
    assert log.metric(delivered) == first, "what failed is no delivery"
    time.sleep(0.05)
    grown = log.metric(age)
    assert 0.05 <= grown <= (datetime.now(UTC) - now).total_seconds()
    log.ship_badly()
    assert log.metric(age) > grown, "it grows while Kafka is away"
    log.broker.down = False
    log.shipper.step()
    assert log.metric(age) == 0
    assert log.metric(delivered) > first


def test_oldest_row_is_the_oldest_of_all_writers(log: Any) -> None:
    other = SpoolWriter.open(log.home / "spool", maximum_bytes=8 << 20)
    append_rows(log.spool, 0)
    assert other.append_predictions(
        model="flights",
        version="a" * 64,
        generation=1,
        event_time=datetime.now(UTC),
        answered_at=datetime.now(UTC) - timedelta(hours=1),
        prediction_ids=["old"],
        scores=[0.5],
        columns={"distance": [1.0]},
    )
    log.broker.fail_next(2)
    log.ship_badly()
    assert 3600 <= log.metric("homeostat_shipper_oldest_row_age_seconds") < 3700
    log.shipper.step()
    assert log.metric("homeostat_shipper_oldest_row_age_seconds") == 0
    other.close()


def test_rows_written_during_a_round_count_as_backlog(log: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    append_rows(log.spool, 0)
    send = log.producer.send

    def meanwhile(*arguments: Any) -> Any:
        append_rows(log.spool, 1)
        return send(*arguments)

    monkeypatch.setattr(log.producer, "send", meanwhile)
    log.shipper.step()
    time.sleep(0.01)
    assert log.metric("homeostat_shipper_oldest_row_age_seconds") >= 0.01
    monkeypatch.undo()
    log.shipper.step()
    assert log.metric("homeostat_shipper_oldest_row_age_seconds") == 0


def test_nothing_is_sent_without_new_rows(log: Any) -> None:
    append_rows(log.spool, 0)
    assert [log.shipper.step(), log.shipper.step()] == [1, 0]
    assert len(log.broker.messages(PREDICTIONS.name)) == 1


def test_unacknowledged_rows_are_sent_again(log: Any) -> None:
    append_rows(log.spool, 0)
    log.broker.fail_next(1)
    log.ship_badly()
    assert log.broker.messages(PREDICTIONS.name) == []
    assert log.producer.resets == 1
    assert log.shipper.step() == 1
    assert sequences(log.broker.messages(PREDICTIONS.name)) == [[0]]


def test_lost_acknowledgement_repeats_and_loses_nothing(log: Any) -> None:
    append_rows(log.spool, 0)
    log.broker.lose_next_acknowledgements(1)
    log.ship_badly()
    log.shipper.step()
    assert sequences(log.broker.messages(PREDICTIONS.name)) == [[0], [0]]


def test_restart_continues_after_last_acknowledgement(log: Any) -> None:
    append_rows(log.spool, 0)
    log.shipper.step()
    append_rows(log.spool, 1)
    log.shipper, log.producer = log.new_shipper()
    log.shipper.step()
    assert sequences(log.broker.messages(PREDICTIONS.name)) == [[0], [1]]


def test_kill_between_acknowledgement_and_checkpoint_loses_nothing(log: Any) -> None:
    append_rows(log.spool, 0)
    kept = (log.home / "spool" / log.spool.writer / "checkpoint.json").exists()
    log.shipper.step()
    (log.home / "spool" / log.spool.writer / "checkpoint.json").unlink()
    log.shipper, log.producer = log.new_shipper()
    log.shipper.step()
    assert not kept
    assert sequences(log.broker.messages(PREDICTIONS.name)) == [[0], [0]]


def test_broker_outage_keeps_rows_on_the_spool(log: Any) -> None:
    log.broker.down = True
    for number in range(5):
        append_rows(log.spool, number)
        log.ship_badly()
    assert log.metric("homeostat_shipper_kafka_up") == 0
    assert log.metric("homeostat_shipper_backlog_bytes") > 0
    log.broker.down = False
    assert log.shipper.step() == 5
    assert log.metric("homeostat_shipper_kafka_up") == 1
    assert sequences(log.broker.messages(PREDICTIONS.name)) == [[0, 1, 2, 3, 4]]


class OneAtATime:
    """A producer that fails the test when two records of one stream are under way."""

    def __init__(self, broker: FakeBroker) -> None:
        self.broker = broker
        self.under_way: set[tuple[str, str, bytes | None]] = set()
        self.sent = 0

    def send(self, topic: str, key: bytes | None, value: bytes, headers: list[tuple[str, bytes]]) -> object:
        stream = (topic, CloudEvent.from_headers(headers).model, key)
        assert stream not in self.under_way, "a second record of the stream before the first was acknowledged"
        self.under_way.add(stream)
        self.sent += 1
        owner, broker = self, self.broker

        class Delivery(FakeDelivery):
            def result(self, timeout: float) -> None:
                owner.under_way.discard(stream)
                broker.put(topic, key, value, headers)

        return Delivery()

    def reset(self) -> None:
        self.under_way.clear()


def test_one_record_in_flight_per_stream(log: Any) -> None:
    for number in range(10):
        append_rows(log.spool, number)
        append_rows(log.spool, number, model="taxis")
    shipper, _ = log.new_shipper(batch_rows=2)
    producer = OneAtATime(log.broker)
    shipper._producer = producer
    assert shipper.step() == 20
    assert producer.sent == 10
    for model in ("flights", "taxis"):
        own = [
            message
            for message in log.broker.messages(PREDICTIONS.name)
            if CloudEvent.from_headers(message.headers).model == model
        ]
        assert sequences(own) == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]


def test_records_hold_rows_of_one_version(log: Any) -> None:
    append_rows(log.spool, 0, version="a" * 64)
    append_rows(log.spool, 1, version="b" * 64)
    log.shipper.step()
    assert sequences(log.broker.messages(PREDICTIONS.name)) == [[0], [1]]


def test_reads_new_writers_and_tails_of_dead_ones(log: Any) -> None:
    log.shipper.step()
    append_rows(log.spool, 0)
    log.spool.close()
    late = SpoolWriter.open(log.home / "spool", maximum_bytes=1 << 20)
    beside = SpoolWriter.open(log.home / "spool", maximum_bytes=1 << 20)
    append_rows(late, 1)
    append_rows(beside, 2)
    assert log.shipper.step() + log.shipper.step() == 3
    assert log.metric("homeostat_shipper_writers") == 2
    late.close()
    beside.close()


def append_picture(spool: SpoolWriter, size: int, count: int = 1) -> None:
    now = datetime.now(UTC)
    noise = np.random.default_rng(1).random((count, size)).astype(np.float32)
    spool.append_predictions(
        model="pictures", version="v", generation=1, event_time=now, answered_at=now,
        prediction_ids=[str(row) for row in range(count)], scores=None, columns={"image": noise},
    )  # fmt: skip


def test_oversize_request_is_split(log: Any) -> None:
    append_picture(log.spool, 2000, count=10)
    shipper, _ = log.new_shipper(record_bytes=30_000)
    assert shipper.step() == 10
    messages = log.broker.messages(PREDICTIONS.name)
    assert [row for batch in sequences(messages) for row in batch] == list(range(10))
    assert max(len(message.value) for message in messages) <= 30_000


@pytest.mark.parametrize("limit", ["shipper", "broker"])
def test_oversize_row_becomes_a_dead_letter(log: Any, limit: str) -> None:
    append_picture(log.spool, 10_000)
    append_picture(log.spool, 10)
    shipper, _ = log.new_shipper(record_bytes=30_000 if limit == "shipper" else 900_000)
    if limit == "broker":
        # A broker that takes less than we thought; the dead letter is cut to what it takes.
        log.broker.maximum_bytes = 900_000
        log.broker.refuse_above = {PREDICTIONS.name: 30_000}
    shipper.step()
    assert sequences(log.broker.messages(PREDICTIONS.name)) == [[1]]
    [dead_letter] = log.broker.messages(DEAD_LETTERS.name)
    assert dict(dead_letter.headers)["reason"] == b"oversize"
    assert dict(dead_letter.headers)["rows"] == b"1"
    assert log.metric("homeostat_shipper_dead_letter_rows_total", reason="oversize") == 1


def test_oversize_dead_letter_is_truncated(log: Any) -> None:
    append_picture(log.spool, 10_000)
    log.broker.refuse_above = {PREDICTIONS.name: 30_000, DEAD_LETTERS.name: 5_000}
    log.shipper.step()
    [dead_letter] = log.broker.messages(DEAD_LETTERS.name)
    assert len(dead_letter.value) == 1000


def test_unreadable_folder_does_not_affect_others(log: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    other = SpoolWriter.open(log.home / "spool", maximum_bytes=1 << 20)
    append_rows(log.spool, 0)
    append_rows(other, 1)
    real = SpoolReader.read
    read: list[str] = []

    def second_fails(reader: SpoolReader) -> object:
        read.append(reader.writer)
        if len(set(read)) == 2:
            raise OSError(5, "Input/output error")
        return real(reader)

    with monkeypatch.context() as broken:
        broken.setattr(SpoolReader, "read", second_fails)
        with pytest.raises(OSError, match="Input/output error"):
            log.shipper.step()
    assert log.shipper.step() == 2
    other.close()


def test_unencodable_values_become_a_dead_letter(log: Any) -> None:
    now = datetime.now(UTC)
    append_rows(log.spool, 0)
    log.spool.append_predictions(
        model="flights", version="a" * 64, generation=1, event_time=now, answered_at=now,
        prediction_ids=["x", "y"], scores=[0.1, 0.2], columns={"distance": [1.0, "far"]},
    )  # fmt: skip
    append_rows(log.spool, 3)
    log.shipper.step()
    assert sequences(log.broker.messages(PREDICTIONS.name)) == [[0], [3]]
    [dead_letter] = log.broker.messages(DEAD_LETTERS.name)
    assert dict(dead_letter.headers)["reason"] == b"encoding"
    assert dict(dead_letter.headers)["rows"] == b"2"
    assert b"far" in dead_letter.value


def test_metrics_of_drops_and_corrupt_spool_data(log: Any) -> None:
    full = SpoolWriter.open(log.home / "spool", maximum_bytes=10)
    append_rows(full, 0, 7)
    append_rows(log.spool, 0)
    append_rows(log.spool, 1)
    [segment] = (log.home / "spool" / log.spool.writer).glob("*.spool")
    content = bytearray(segment.read_bytes())
    content[20] ^= 0xFF
    segment.write_bytes(content)
    log.shipper.step()
    assert log.metric("homeostat_shipper_spool_dropped_rows", kind="predictions", model="flights") == 7
    assert log.metric("homeostat_shipper_skipped_total", reason="corrupt_bytes") == len(content) / 2
    full.close()


def test_deleted_folder_does_not_stop_others(log: Any) -> None:
    gone = SpoolWriter.open(log.home / "spool", maximum_bytes=1 << 20)
    log.shipper.step()
    gone.close()
    for path in (log.home / "spool" / gone.writer).iterdir():
        path.unlink()
    (log.home / "spool" / gone.writer).rmdir()
    append_rows(log.spool, 0)
    assert log.shipper.step() == 1


def test_runs_through_an_outage_until_stopped(log: Any) -> None:
    stop = Event()
    log.broker.down = True
    thread = Thread(target=log.shipper.run, args=(stop,))
    thread.start()
    append_rows(log.spool, 0)
    deadline = time.monotonic() + 5 * time_factor()
    while not log.shipper.last_error and time.monotonic() < deadline:
        time.sleep(0.01)
    assert "down" in log.shipper.last_error
    log.broker.down = False
    while log.shipper.last_error and time.monotonic() < deadline:
        time.sleep(0.01)
    stop.set()
    thread.join(5)
    assert not thread.is_alive()
    assert sequences(log.broker.messages(PREDICTIONS.name)) == [[0]]


@pytest.fixture
def rounds(log: Any, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The folders of each round that read them, of a spool whose rows were shipped a minute ago."""
    append_rows(log.spool, 0)
    log.shipper.step()
    a_minute_ago(log)
    read: list[int] = []
    find = log.shipper._find_writers

    def counted() -> None:
        find()
        read.append(len(log.shipper._readers))

    monkeypatch.setattr(log.shipper, "_find_writers", counted)
    # Times pass only where a test says so: without a change, a second round never reads the folders.
    monkeypatch.setattr("services.prediction_log.shipper.still_spool._LONGEST_SECONDS", 1000.0)
    return read


def a_minute_ago(log: Any) -> None:
    root = log.home / "spool"
    for path in (*root.rglob("*"), root):
        os.utime(path, (time.time() - 60, time.time() - 60))


def test_shipped_spool_without_changes_is_read_once(log: Any, rounds: list[int]) -> None:
    for _ in range(3):
        assert log.shipper.step() == 0
    assert rounds == [1]
    append_rows(log.spool, 1)
    assert log.shipper.step() == 1


@pytest.mark.usefixtures("rounds")
def test_row_that_comes_while_folders_are_read_is_shipped(log: Any) -> None:
    reader = log.shipper._readers[log.spool.writer]
    read = reader.read

    def then_another() -> Any:
        found = read()
        append_rows(log.spool, 1)
        a_minute_ago(log)
        return found

    reader.read = then_another
    backlog = reader.backlog_bytes
    reader.backlog_bytes = lambda: 0  # as if it came after the last look at what is left
    assert log.shipper.step() == 0
    reader.read, reader.backlog_bytes = read, backlog
    assert log.shipper.step() == 1


@pytest.mark.parametrize("fault", ["torn tail", "full disk"])
def test_spool_with_something_left_is_read_again(
    log: Any, rounds: list[int], fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if fault == "torn tail":
        [segment] = (log.home / "spool" / log.spool.writer).glob("*.spool")
        with segment.open("ab") as file:
            file.write(b"HS")
        a_minute_ago(log)
    else:

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(reader_module, "write_checkpoint", full)
        append_rows(log.spool, 1)
        log.shipper.step()
        a_minute_ago(log)
        rounds.clear()
    for _ in range(3):
        log.shipper.step()
    assert rounds == [1, 1, 1]


class UntilWait:
    """Stops the shipper when it first waits, and knows what was shipped by then."""

    def __init__(self, log: Any) -> None:
        self._log = log
        self.shipped: int | None = None

    def is_set(self) -> bool:
        return self.shipped is not None

    def wait(self, _seconds: float) -> bool:
        self.shipped = sum(map(len, sequences(self._log.broker.messages(PREDICTIONS.name))))
        return False


def test_no_pause_before_large_rows_that_a_round_had_no_budget_for(
    log: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipper_module, "_ROUND_BYTES", 50_000)
    monkeypatch.setattr(reader_module, "_READ_BYTES", 1000)  # one row at a time
    for _ in range(6):
        append_picture(log.spool, 10_000)
    stop = UntilWait(log)
    log.shipper.run(stop)
    assert stop.shipped == 6


@pytest.mark.parametrize(("drain_seconds", "shipped"), [(60, 6), (0, 0)])
def test_drain_ships_the_whole_spool_after_the_stop(
    log: Any, monkeypatch: pytest.MonkeyPatch, drain_seconds: float, shipped: int
) -> None:
    monkeypatch.setattr(shipper_module, "_ROUND_BYTES", 50_000)
    for _ in range(6):
        append_picture(log.spool, 10_000)
    stop = Event()
    stop.set()
    log.new_shipper(drain_seconds=drain_seconds)[0].run(stop)
    assert sum(map(len, sequences(log.broker.messages(PREDICTIONS.name)))) == shipped


def test_drain_ends_at_the_first_failure(log: Any) -> None:
    append_rows(log.spool, 0)
    log.broker.down = True
    stop = Event()
    stop.set()
    shipper, _ = log.new_shipper(drain_seconds=600)
    shipper.run(stop)
    log.broker.down = False
    assert log.new_shipper()[0].step() == 1, "it stays on the spool"


def test_failed_dead_letter_is_retried(log: Any) -> None:
    append_picture(log.spool, 10_000)
    shipper, _ = log.new_shipper(record_bytes=30_000)
    log.broker.fail_next(1)
    with pytest.raises(DependencyUnavailable):
        shipper.step()
    shipper.step()
    assert len(log.broker.messages(DEAD_LETTERS.name)) == 1
