"""What every reader of predictions and outcomes accepts, and in which order it refuses."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.contracts.topics import OUTCOMES, PREDICTIONS
from shared.messaging import log_record
from shared.messaging.arrow import CONTENT_TYPE, outcomes_batch, predictions_batch, to_bytes
from shared.messaging.events import Event
from shared.messaging.interfaces import Message, Partition
from shared.messaging.log_record import RefusedRecord, read_log_record
from shared.messaging.record_mac import RecordMac
from shared.spool.record import OutcomeRecord, PredictionRecord

MAC = RecordMac([b"k" * 32])
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def predictions(count: int = 3, first: int = 0, writer: str = "w") -> bytes:
    record = PredictionRecord(
        model="flights", sequence=first, version="v", generation=4, event_time=NOON, answered_at=NOON,
        prediction_ids=[f"{number}" for number in range(count)], scores=[0.5] * count,
        columns={"distance": [1.0] * count},
    )  # fmt: skip
    return to_bytes(predictions_batch([record], writer=writer, epoch=7))


def message(value: bytes, topic: Any = PREDICTIONS, mac: RecordMac = MAC, **attributes: Any) -> Message:
    event = Event.now(topic.event_type, source="w", model="flights", content_type=CONTENT_TYPE)
    headers = replace(event, **attributes).headers()
    headers.append(mac.header(topic.name, b"w", value, headers))
    return Message(Partition(topic.name, 1), 9, b"w", value, headers)


def test_rows_of_a_stream_are_read_with_their_numbers() -> None:
    record = read_log_record(message(predictions(3, first=20)), maximum_bytes=1 << 20, mac=MAC)
    assert (record.kind, record.model, record.source, record.epoch, record.flaw) == (
        "predictions", "flights", "w", 7, ""
    )  # fmt: skip
    assert record.sequences.tolist() == [20, 21, 22]
    assert record.batch["f_distance"].to_pylist() == [1.0] * 3


def test_outcomes_are_read_by_their_topic() -> None:
    rows = outcomes_batch([OutcomeRecord("flights", 0, NOON, ["a"], [1.0], [NOON])], writer="w", epoch=1)
    record = read_log_record(message(to_bytes(rows), OUTCOMES), maximum_bytes=1 << 20, mac=MAC)
    assert (record.kind, record.batch["value"].to_pylist()) == ("outcomes", [1.0])


REFUSED = {
    "too large": (message(b"x" * 2_000_000), "oversize"),
    "another sender": (message(predictions(), mac=RecordMac([b"s" * 32])), "unauthenticated"),
    "another type": (message(predictions(), type="gossip.v1"), "headers"),
    "another content": (message(predictions(), content_type="text/plain"), "headers"),
    "a name that climbs": (message(predictions(), model="../../etc"), "headers"),
    "another writer": (message(predictions(writer="other")), "undecodable"),
    "noise": (message(b"noise"), "undecodable"),
    "an empty record": (message(b""), "undecodable"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_record_is_refused_for_its_reason(case: str) -> None:
    record, reason = REFUSED[case]
    with pytest.raises(RefusedRecord) as refused:
        read_log_record(record, maximum_bytes=1 << 20, mac=MAC)
    assert refused.value.reason == reason
    assert str(refused.value)


def test_bytes_of_a_stranger_are_not_decompressed(monkeypatch: pytest.MonkeyPatch) -> None:
    def decode(*_: object, **__: object) -> None:
        raise AssertionError("decoded before its sender was known")

    monkeypatch.setattr(log_record, "from_bytes", decode)
    stranger = message(predictions(), mac=RecordMac([b"s" * 32]))
    with pytest.raises(RefusedRecord, match="key"):
        read_log_record(stranger, maximum_bytes=1 << 20, mac=MAC)


def test_rows_that_no_table_can_store_have_a_flaw() -> None:
    rows = outcomes_batch([OutcomeRecord("flights", 0, NOON, ["a"], [1.0], [NOON])], writer="w", epoch=1)
    flawed = rows.append_column("colour", rows["value"])
    record = read_log_record(message(to_bytes(flawed), OUTCOMES), maximum_bytes=1 << 20, mac=MAC)
    assert "colour is not a column of the lake" in record.flaw
