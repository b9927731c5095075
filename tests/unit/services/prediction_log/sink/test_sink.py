from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake

from services.prediction_log.sink.decoding import DecodedBatch, read_message
from services.prediction_log.sink.table_log import TableLog
from services.prediction_log.sink.table_properties import Retention
from services.prediction_log.sink.table_writer import TableWriter
from shared.contracts.lake_schema import PREDICTION_COLUMNS
from shared.contracts.prediction_id import PredictionIds
from shared.contracts.topics import DEAD_LETTERS, OUTCOMES, PREDICTIONS
from shared.errors import DependencyUnavailable
from shared.messaging.arrow import CONTENT_TYPE, predictions_batch, to_bytes
from shared.messaging.events import Event
from shared.messaging.handling_journal import HandlingJournal
from shared.messaging.interfaces import Message, Partition
from shared.messaging.record_mac import RecordMac
from shared.spool.record import PredictionRecord
from shared.stores.prediction_lookup import find_prediction
from tests.fakes.rows import (
    NOON,
    append_class_rows,
    append_label_outcomes,
    append_outcomes,
    append_rows,
    append_value_outcomes,
    append_value_rows,
)
from tests.unit.services.prediction_log.conftest import MAC


def batch(
    sequence: int = 0,
    count: int = 1,
    *,
    writer: str = "w",
    columns: dict[str, list[object]] | None = None,
    answered_at: datetime = NOON,
) -> pa.RecordBatch:
    record = PredictionRecord(
        model="flights", sequence=sequence, version="v", generation=1, event_time=NOON, answered_at=answered_at,
        prediction_ids=[f"{writer}{sequence + row}" for row in range(count)], scores=[0.5] * count,
        columns=columns if columns is not None else {"distance": [1.0] * count},
    )  # fmt: skip
    return predictions_batch([record], writer=writer, epoch=1)


def flawed(sequence: int, count: int = 1) -> pa.RecordBatch:
    """Rows that no table can store: half floats are no type of a feature."""
    values = pa.array(np.zeros(count, np.float16))
    return batch(sequence, count).append_column(pa.field("f_half", values.type), values)


def put(log: Any, value: bytes, **headers: bytes | None) -> None:
    """A record as some producer might send it; `headers` replace or (None) remove attributes, `__` standing for a dash."""
    event = Event.now(PREDICTIONS.event_type, source="w", model="flights", content_type=CONTENT_TYPE)
    values: dict[str, bytes | None] = dict(event.headers())
    values.update({name.replace("__", "-"): text for name, text in headers.items()})
    log.put(
        PREDICTIONS.name, b"w", value, [(name, text) for name, text in values.items() if text is not None]
    )


def test_rows_reach_the_lake_once(log: Any, numbers: list[str]) -> None:
    append_rows(log.spool, 0, 10)
    append_outcomes(log.spool, 0, 4)
    log.drain()
    assert log.ids() == numbers
    assert log.predictions()["f_distance"].to_pylist() == [float(number) for number in numbers]
    assert log.metric("homeostat_sink_rows_total", kind="predictions", model="flights") == 10
    assert log.metric("homeostat_sink_rows_total", kind="outcomes", model="flights") == 4
    assert log.metric("homeostat_sink_missing_rows_total", kind="predictions", model="flights") == 0


def test_record_after_a_pause_is_committed_at_once_and_a_busy_table_once_a_while(
    log: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Time passes only where the sink waits for records; another row arrives 0.3 s into the second round."""
    log.sink, log.consumer = log.new_sink(commit_seconds=0.7)
    now, arrivals = [100.0], [100.45]
    poll = log.consumer.poll

    def waiting(timeout: float, maximum: int) -> Any:
        if found := poll(timeout, maximum):
            return found
        if not arrivals or now[0] + timeout < arrivals[0]:
            now[0] += timeout
            return []
        now[0] = arrivals.pop()
        put(log, to_bytes(batch(2)))
        return poll(timeout, maximum)

    monkeypatch.setattr(log.consumer, "poll", waiting)
    monkeypatch.setattr("services.prediction_log.sink.collector.time.monotonic", lambda: now[0])
    put(log, to_bytes(batch(0)))
    assert log.sink.step() == 1
    assert now[0] == pytest.approx(100.05)
    now[0] += 0.1
    put(log, to_bytes(batch(1)))
    assert log.sink.step() == 2, "the next commit is 0.7 s after the last, with all rows until then"
    assert now[0] == pytest.approx(100.75, abs=0.051)
    now[0] += 5
    put(log, to_bytes(batch(3)))
    assert log.sink.step() == 1
    assert now[0] == pytest.approx(105.8, abs=0.051)


def test_metric_of_the_newest_row_in_the_lake(log: Any) -> None:
    def newest(kind: str) -> float:
        return log.metric("homeostat_sink_last_row_timestamp_seconds", kind=kind, model="flights")  # type: ignore[no-any-return]

    put(log, to_bytes(batch(0, 3, answered_at=NOON)))
    log.sink.step()
    assert newest("predictions") == NOON.timestamp()
    put(log, to_bytes(batch(3, 1, answered_at=NOON - timedelta(hours=1))))
    log.sink.step()
    assert newest("predictions") == NOON.timestamp(), "an older row does not take it back"
    put(log, to_bytes(batch(4, 1, answered_at=NOON + timedelta(hours=1))))
    log.sink.step()
    assert newest("predictions") == (NOON + timedelta(hours=1)).timestamp()
    put(log, to_bytes(batch(5, 1, answered_at=datetime(9000, 1, 1, tzinfo=UTC))))
    log.sink.step()
    assert newest("predictions") <= datetime.now(UTC).timestamp(), "a row from the future counts as of now"
    begun = datetime.now(UTC).timestamp()
    append_outcomes(log.spool, 0)
    log.drain()
    assert begun <= newest("outcomes") <= datetime.now(UTC).timestamp()


def test_repeats_from_the_shipper_are_skipped_by_sequence(log: Any, numbers: list[str]) -> None:
    append_rows(log.spool, 0, 5)
    log.broker.lose_next_acknowledgements(1)
    log.ship_badly()
    append_rows(log.spool, 5, 5)
    log.drain()
    assert log.ids() == numbers
    assert log.metric("homeostat_sink_repeated_rows_total", kind="predictions", model="flights") == 5


def test_partial_repeat_adds_only_new_rows(log: Any) -> None:
    put(log, to_bytes(batch(0, 3)))
    log.sink.step()
    put(log, to_bytes(batch(0, 5)))
    log.sink.step()
    assert log.ids() == ["w0", "w1", "w2", "w3", "w4"]


def test_crash_before_offset_commit_repeats_nothing(log: Any, numbers: list[str]) -> None:
    append_rows(log.spool, 0, 10)
    log.shipper.step()
    log.sink.step()
    log.broker.committed["sink"].clear()
    log.sink, log.consumer = log.new_sink()
    log.drain()
    assert log.ids() == numbers
    assert log.metric("homeostat_sink_repeated_rows_total", kind="predictions", model="flights") == 10


def test_record_at_a_stored_offset_is_skipped(log: Any) -> None:
    """Rows are distinguished by sequence; the offset is the second line of defence, against rows that changed their numbers."""
    place = Partition(PREDICTIONS.name, 0)
    identity = log.broker.identity(PREDICTIONS.name)
    table = TableWriter(
        log.lake.predictions("flights"),
        PREDICTION_COLUMNS,
        time_column="event_time",
        retention=Retention(),
    )
    headers = Event.now(
        PREDICTIONS.event_type, source="w", model="flights", content_type=CONTENT_TYPE
    ).headers()
    for sequence, expected in ((0, 1), (1, 0)):
        value = to_bytes(batch(sequence))
        message = Message(place, 5, b"w", value, [*headers, MAC.header(place.topic, b"w", value, headers)])
        decoded = read_message(message, identity, maximum_bytes=1 << 20, mac=MAC)
        assert isinstance(decoded, DecodedBatch)
        assert table.commit(table.prepare([decoded])) == expected


def test_failed_offset_commit_is_no_failure(log: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    append_rows(log.spool, 0, 2)
    log.shipper.step()

    def refuse(offsets: object) -> None:
        raise DependencyUnavailable("the group is rebalancing")

    monkeypatch.setattr(log.consumer, "commit", refuse)
    assert log.sink.step() == 2


def test_failed_table_commit_is_repeated(
    log: Any, numbers: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    append_rows(log.spool, 0, 10)
    log.shipper.step()

    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(TableLog, "append", refuse)
        with pytest.raises(OSError, match="No space left"):
            log.sink.step()
    assert log.broker.committed["sink"] == {}
    log.consumer.rewind()
    log.drain()
    assert log.ids() == numbers


class UntilWritten:
    """A flag to stop by, set once the sink has had some rounds; it never waits."""

    def __init__(self, rounds: int) -> None:
        self.left = rounds

    def is_set(self) -> bool:
        self.left -= 1
        return self.left < 0

    def wait(self, _seconds: float) -> bool:
        return False


def test_running_sink_retries_a_failed_round(
    log: Any, numbers: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came after the failure must not be committed past what failed."""
    append_rows(log.spool, 0, 5)
    log.shipper.step()
    written = TableLog.append
    failures = [OSError(28, "No space left on device")] * 3

    def refuse_at_first(*arguments: Any, **options: Any) -> None:
        if failures:
            if len(failures) == 1:
                append_rows(log.spool, 5, 5)
            log.shipper.step()
            raise failures.pop()
        written(*arguments, **options)

    monkeypatch.setattr(TableLog, "append", refuse_at_first)
    log.sink.run(UntilWritten(12))
    assert log.ids() == numbers
    assert log.metric("homeostat_sink_missing_rows_total", kind="predictions", model="flights") == 0


def test_second_sink_adds_no_repeats(log: Any, numbers: list[str]) -> None:
    append_rows(log.spool, 0, 10)
    log.shipper.step()
    other, _ = log.new_sink(group="another")
    assert log.sink.step() == 10
    assert other.step() == 0
    assert log.ids() == numbers


def test_conflicting_commit_is_prepared_again(
    log: Any, numbers: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The zombie: it has prepared its commit, another commits the same rows, then it wakes up."""
    append_rows(log.spool, 0, 5)
    log.shipper.step()
    log.sink.step()
    append_rows(log.spool, 5, 5)
    log.shipper.step()
    other, _ = log.new_sink(group="another")
    awake: list[bool] = []

    def slow(*args: Any, **kwargs: Any) -> None:
        if not awake:
            awake.append(True)
            other.step()
        written(*args, **kwargs)

    written = TableLog.append
    monkeypatch.setattr(TableLog, "append", slow)
    log.sink.step()
    assert log.ids() == numbers
    assert log.metric("homeostat_sink_conflicts_total") == 1


def test_delta_accepts_a_repeated_transaction(tmp_path: Any) -> None:
    """The trap this package is built around; if a new delta-rs closes it, step 2 of writer.py may go."""
    for _ in range(2):
        write_deltalake(
            str(tmp_path / "t"), pa.table({"a": [1]}), mode="append",
            commit_properties=CommitProperties(app_transactions=[Transaction("app", 1)]),
        )  # fmt: skip
    assert DeltaTable(str(tmp_path / "t")).to_pyarrow_table().num_rows == 2


def test_missing_sequences_are_counted(log: Any) -> None:
    put(log, to_bytes(batch(2, 1)))
    log.sink.step()
    put(log, to_bytes(batch(7, 2)))
    log.sink.step()
    assert log.metric("homeostat_sink_missing_rows_total", kind="predictions", model="flights") == 2 + 4


POISON: dict[str, tuple[bytes, dict[str, bytes | None], str]] = {
    "noise": (b"noise", {}, "undecodable"),
    "empty": (b"", {}, "undecodable"),
    "cut off": (to_bytes(batch())[:100], {}, "undecodable"),
    "no rows": (to_bytes(batch().slice(0, 0)), {}, "undecodable"),
    "another writer's rows": (to_bytes(batch(writer="x")), {}, "undecodable"),
    "sequences that do not ascend": (to_bytes(batch(0, 2).take(pa.array([1, 0]))), {}, "undecodable"),
    "missing column": (to_bytes(batch().drop_columns(["event_time"])), {}, "undecodable"),
    "no headers": (to_bytes(batch()), {"ce_model": None}, "headers"),
    "another type": (to_bytes(batch()), {"ce_type": b"gossip.v1"}, "headers"),
    "another content": (to_bytes(batch()), {"content__type": b"text/plain"}, "headers"),
    "a name that climbs": (to_bytes(batch()), {"ce_model": b"../../etc"}, "headers"),
    "too large": (b"x" * 2_000_000, {}, "oversize"),
}


@pytest.mark.parametrize("case", POISON)
def test_poison_record_becomes_a_dead_letter_and_partition_continues(log: Any, case: str) -> None:
    value, headers, reason = POISON[case]
    log.sink, log.consumer = log.new_sink(maximum_record_bytes=1_000_000)
    put(log, to_bytes(batch(0)))
    put(log, value, **headers)
    put(log, to_bytes(batch(1)))
    for _ in range(3):
        log.sink.step()
    assert log.ids() == ["w0", "w1"]
    [dead_letter] = log.dead_letters()
    assert (dead_letter["reason"], dead_letter["origin_topic"], dead_letter["origin_offset"]) == (
        reason,
        PREDICTIONS.name,
        1,
    )
    assert dead_letter["value"] == value[:500_000]
    assert log.metric("homeostat_sink_dead_letters_total", reason=reason) == 1


def test_repeated_dead_letter_is_stored_once(log: Any) -> None:
    put(log, b"noise")
    for _ in range(2):
        log.sink.step()
    log.broker.committed["sink"].clear()
    log.sink, log.consumer = log.new_sink()
    for _ in range(3):
        log.sink.step()
    assert len(log.broker.messages(DEAD_LETTERS.name)) == 2
    assert len(log.dead_letters()) == 1


def test_forged_record_is_a_dead_letter_and_moves_no_sequence(log: Any) -> None:
    """Rows far ahead in the name of an honest writer would make its own rows repeats."""
    put(log, to_bytes(batch(0)))
    forged = to_bytes(batch(1_000_000))
    event = Event.now(PREDICTIONS.event_type, source="w", model="flights", content_type=CONTENT_TYPE)
    log.broker.put(PREDICTIONS.name, b"w", forged, event.headers())
    stranger = RecordMac([b"s" * 32])
    log.broker.put(
        PREDICTIONS.name,
        b"w",
        forged,
        [*event.headers(), stranger.header(PREDICTIONS.name, b"w", forged, event.headers())],
    )
    put(log, to_bytes(batch(1)))
    log.drain()
    assert log.ids() == ["w0", "w1"]
    assert [dead_letter["reason"] for dead_letter in log.dead_letters()] == ["unauthenticated"] * 2
    assert log.metric("homeostat_sink_dead_letters_total", reason="unauthenticated") == 2
    assert log.metric("homeostat_sink_missing_rows_total", kind="predictions", model="flights") == 0


def test_forged_dead_letter_is_stored_as_what_it_is(log: Any) -> None:
    put(log, b"noise")
    log.drain()
    [honest] = log.broker.messages(DEAD_LETTERS.name)
    log.broker.put(DEAD_LETTERS.name, None, b"forged", honest.headers)
    log.drain()
    assert {dead_letter["reason"]: dead_letter["value"] for dead_letter in log.dead_letters()} == {
        "undecodable": b"noise",
        "unauthenticated": b"forged",
    }


def test_invalid_record_on_dead_letter_topic_is_stored(log: Any) -> None:
    log.put(DEAD_LETTERS.name, None, b"noise", [("reason", b"\xff")])
    log.sink.step()
    [dead_letter] = log.dead_letters()
    assert (dead_letter["reason"], dead_letter["origin_topic"], dead_letter["value"]) == (
        "headers",
        DEAD_LETTERS.name,
        b"noise",
    )


def test_nothing_is_committed_while_dead_letters_cannot_be_sent(log: Any) -> None:
    put(log, b"noise")
    put(log, to_bytes(batch(0)))
    log.broker.fail_next(1)
    with pytest.raises(DependencyUnavailable):
        log.sink.step()
    assert log.broker.committed["sink"] == {}
    log.consumer.rewind()
    for _ in range(2):
        log.sink.step()
    assert log.ids() == ["w0"]
    assert len(log.dead_letters()) == 1


def test_schema_mismatch_becomes_a_dead_letter_counted_in_rows(log: Any) -> None:
    put(log, to_bytes(batch(0)))
    log.sink.step()
    for _ in range(2):  # the shipper sent it twice
        put(log, to_bytes(flawed(1, 3)))
    put(log, to_bytes(batch(4)))
    for _ in range(3):
        log.sink.step()
    assert log.ids() == ["w0", "w4"]
    [dead_letter] = log.dead_letters()
    assert (dead_letter["reason"], dead_letter["rows"]) == ("schema", 3)
    assert "feature column f_half has type halffloat" in str(dead_letter["detail"])
    assert log.metric("homeostat_sink_missing_rows_total", kind="predictions", model="flights") == 0


def test_schema_mismatch_alone_in_its_commit_is_stored_once(log: Any) -> None:
    put(log, to_bytes(batch(0)))
    log.sink.step()
    for _ in range(2):
        put(log, to_bytes(flawed(1)))
        log.sink.step()
    log.sink.step()
    assert len(log.dead_letters()) == 1


def test_each_type_of_a_feature_has_a_column(log: Any) -> None:
    """Arrow would turn a number into the text of the number; nobody meant that."""
    put(log, to_bytes(batch(0, columns={"carrier": ["UA"], "distance": [1.5]})))
    put(log, to_bytes(batch(1, columns={"carrier": [7.0], "distance": [2]})))
    put(log, to_bytes(batch(2, columns={"Carrier": ["AA"], "distance": [None]})))
    log.sink.step()
    rows = log.predictions()
    assert log.dead_letters() == []
    assert rows["f_carrier"].to_pylist() == ["UA", None, "AA"]
    assert rows["f_carrier$number"].to_pylist() == [None, 7.0, None]
    assert rows["f_distance"].to_pylist() == [1.5, None, None]
    assert rows["f_distance$integer"].to_pylist() == [None, 2, None]


def test_new_features_add_columns(log: Any) -> None:
    put(log, to_bytes(batch(0, columns={"distance": [1.5]})))
    put(log, to_bytes(batch(1, columns={"distance": [2.0], "carrier": ["UA"]})))
    put(log, to_bytes(batch(2, columns={"carrier": [None]})))
    log.sink.step()
    rows = log.predictions()
    assert rows["f_distance"].to_pylist() == [1.5, 2.0, None]
    assert rows["f_carrier"].to_pylist() == [None, "UA", None]


def test_unavailable_broker_is_reported_by_every_round_without_records(
    log: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(log, to_bytes(batch(0)))
    log.sink.step()

    def unavailable(_: object) -> Any:
        raise DependencyUnavailable("no broker")

    monkeypatch.setattr(log.consumer, "identities", unavailable)
    log.sink._identities_checked = 0.0  # as if ten seconds had passed
    for _ in range(3):
        with pytest.raises(DependencyUnavailable):
            log.sink.step()


def test_sink_without_records_looks_seldom_for_other_topics(
    log: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(log, to_bytes(batch(0)))
    log.sink.step()
    looks: list[object] = []
    identities = log.consumer.identities

    def counted(topics: object) -> Any:
        looks.append(topics)
        return identities(topics)

    monkeypatch.setattr(log.consumer, "identities", counted)
    log.sink._identities_checked = time.monotonic() + 1000
    for _ in range(3):
        assert log.sink.step() == 0
    assert looks == []
    log.sink._identities_checked = 0.0  # as if ten seconds had passed
    for _ in range(3):
        assert log.sink.step() == 0
    assert len(looks) < 3
    put(log, to_bytes(batch(1)))
    assert log.sink.step() == 1
    assert looks, "each look at records has its own"


def test_recreated_topic_is_read_from_its_beginning(log: Any) -> None:
    for number in range(5):
        put(log, to_bytes(batch(number)))
        log.sink.step()
    log.broker.recreate(PREDICTIONS.name)
    put(log, to_bytes(batch(5)))
    log.sink._identities_checked = 0.0  # as if ten seconds had passed
    log.sink.step()
    log.sink.step()
    assert log.ids() == [f"w{number}" for number in range(6)]
    assert log.consumer.resets == 1


def test_records_fetched_before_topic_recreation_are_discarded(log: Any) -> None:
    put(log, to_bytes(batch(0)))
    log.sink.step()
    put(log, to_bytes(batch(1)))
    real_poll = log.consumer.poll

    def poll_then_recreate(timeout: float, maximum: int = 500) -> object:
        found = real_poll(timeout, maximum)
        if found:
            log.broker.recreate(PREDICTIONS.name)
        return found

    log.consumer.poll = poll_then_recreate
    assert log.sink.step() == 0
    log.consumer.poll = real_poll
    for number in range(1, 4):
        put(log, to_bytes(batch(number)))
    for _ in range(3):
        log.sink.step()
    assert log.ids() == ["w0", "w1", "w2", "w3"]


def test_compaction_merges_small_files_and_keeps_recent_versions(log: Any) -> None:
    log.sink, log.consumer = log.new_sink(compact_commits=5)
    frozen = None
    for number in range(12):
        append_rows(log.spool, number)
        log.drain()
        if number == 3:
            frozen = log.lake.snapshot("flights")
    table = log.lake.open(log.lake.predictions("flights"))
    assert len(table.file_uris()) < 6
    assert log.metric("homeostat_sink_compactions_total") == 2
    assert len(log.predictions()) == 12
    then = log.lake.read_joined(
        "flights", datetime(2013, 1, 1, tzinfo=UTC), datetime(2014, 1, 1, tzinfo=UTC), snapshot=frozen
    )
    assert then["prediction_id"].to_pylist() == ["0", "1", "2", "3"]


def test_tables_have_statistics_of_queried_columns(log: Any) -> None:
    append_rows(log.spool, 0, 3)
    append_outcomes(log.spool, 0, 3)
    log.drain()
    for location, column in (
        (log.lake.predictions("flights"), "event_time"),
        (log.lake.predictions("flights"), "answered_at"),
        (log.lake.outcomes("flights"), "observed_at"),
        (log.lake.outcomes("flights"), "id_hour"),
    ):
        table = DeltaTable(location)
        assert table.metadata().partition_columns == ["month"]
        assert f"max.{column}" in pa.table(table.get_add_actions(flatten=True)).column_names


def test_outcomes_get_the_hour_of_their_prediction(log: Any) -> None:
    ids = PredictionIds(b"k" * 32, NOON.timestamp).make_many("flights", 2)
    log.spool.append_outcomes(
        model="flights",
        received_at=NOON,
        prediction_ids=[*ids, "x"],
        values=[1.0] * 3,
        observed_at=[NOON] * 3,
    )
    log.drain()
    rows = log.lake.read_outcomes("flights", NOON, NOON + timedelta(hours=1))
    assert rows["id_hour"].to_pylist() == [NOON, NOON, None]


def test_outcomes_have_their_own_sequence(log: Any) -> None:
    append_outcomes(log.spool, 0, 2)
    append_rows(log.spool, 0, 2)
    log.drain()
    assert len(log.broker.messages(OUTCOMES.name)) == 1
    assert log.metric("homeostat_sink_missing_rows_total", kind="outcomes", model="flights") == 0
    assert log.metric("homeostat_sink_missing_rows_total", kind="predictions", model="flights") == 0


def test_tables_from_before_the_labels_get_them_with_the_first_row(log: Any) -> None:
    append_rows(log.spool, 0, 2)
    append_outcomes(log.spool, 0, 2)
    log.drain()
    assert "label" not in log.predictions().column_names
    append_class_rows(log.spool, 2, ["cat", "dog"])
    append_label_outcomes(log.spool, 2, ["cat", "bird"])
    append_rows(log.spool, 4)
    log.drain()
    rows = log.predictions().sort_by("sequence")
    assert rows["label"].to_pylist() == [None, None, "cat", "dog", None]
    assert rows["scores"].to_pylist() == [None, None, [0.5, 0.25, 0.25], [0.5, 0.25, 0.25], None]
    assert rows["f_distance"].to_pylist() == [0.0, 1.0, 2.0, 3.0, 4.0]
    start, end = NOON, NOON + timedelta(days=1)
    joined = log.lake.read_joined("flights", start, end, source="label", with_outcome=True)
    assert joined["outcome"].to_pylist() == ["cat", "bird"]
    assert log.lake.read_joined("flights", start, end, with_outcome=True)["outcome"].to_pylist() == [1.0, 1.0]
    assert log.dead_letters() == []


def test_values_reach_a_table_of_other_rows(log: Any) -> None:
    append_rows(log.spool, 0, 2)
    append_outcomes(log.spool, 0, 2)
    log.drain()
    append_value_rows(log.spool, 2, [[1.5, 2.0], [3.0, 4.0]])
    append_value_outcomes(log.spool, 2, [{"low": 1.0, "high": 2.5}, {"low": 3.0, "high": 4.5}])
    append_outcomes(log.spool, 4)
    append_rows(log.spool, 4)
    log.drain()
    rows = log.predictions().sort_by("sequence")
    assert rows["scores"].to_pylist() == [None, None, [1.5, 2.0], [3.0, 4.0], None]
    assert "label" not in rows.column_names
    start, end = NOON, NOON + timedelta(days=1)
    joined = log.lake.read_joined("flights", start, end, source="values", with_outcome=True)
    assert [dict(row) for row in joined["outcome"].to_pylist()] == [
        {"low": 1.0, "high": 2.5},
        {"low": 3.0, "high": 4.5},
    ]
    found = find_prediction(log.lake, "3")
    assert found is not None
    assert (found["outcome"], found["scores"]) == ({"low": 3.0, "high": 4.5}, [3.0, 4.0])
    assert log.dead_letters() == []


class Died(BaseException):
    """The process was killed."""


def test_record_that_kills_the_sink_again_and_again_is_a_dead_letter(
    log: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = tmp_path / "sink.json"
    for sequence in range(5):
        put(log, to_bytes(batch(sequence)))

    def die(message: Message, *given: Any, **more: Any) -> Any:
        if message.offset == 2:
            raise Died
        return read_message(message, *given, **more)

    monkeypatch.setattr("services.prediction_log.sink.sink.read_message", die)
    for _ in range(3):
        log.sink, log.consumer = log.new_sink(journal=HandlingJournal(journal))
        with pytest.raises(Died):
            log.sink.step()
    log.sink, log.consumer = log.new_sink(journal=HandlingJournal(journal))
    for _ in range(3):
        log.sink.step()
    assert log.ids() == ["w0", "w1", "w3", "w4"]
    [stored] = log.dead_letters()
    assert (stored["reason"], stored["origin_offset"]) == ("crash", 2)
    assert stored["detail"] == "handling it ended the sink 3 times"
    assert log.metric("homeostat_sink_dead_letters_total", reason="crash") == 1
    assert log.metric("homeostat_sink_missing_rows_total", kind="predictions", model="flights") == 1
    assert not journal.exists()
