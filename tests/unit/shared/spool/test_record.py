from __future__ import annotations

from datetime import UTC, datetime
from zlib import crc32

import numpy as np
import orjson
import pytest

from shared.spool.record import (
    FRAME,
    MAGIC,
    OPTIONS,
    BrokenRecord,
    OutcomeRecord,
    PredictionRecord,
    decode,
    frame,
)

MOMENT = datetime(2013, 1, 1, 5, 15, 0, 123456, tzinfo=UTC)


def payload(head: dict[str, object], *, sequence: int = 7, tensors: tuple[memoryview, ...] = ()) -> bytes:
    return b"".join(frame(sequence, orjson.dumps(head, option=OPTIONS), list(tensors)))[FRAME.size :]


def prediction_head(**changes: object) -> dict[str, object]:
    head: dict[str, object] = {
        "kind": "predictions",
        "model": "flights",
        "version": "v",
        "generation": 3,
        "event_time": MOMENT,
        "answered_at": MOMENT,
        "ids": ["a", "b"],
        "scores": [0.25, None],
        "columns": {"carrier": ["UA", None]},
        "tensors": [],
        "traceparent": "",
    }
    return head | changes


def test_a_frame_names_its_length_and_checksum() -> None:
    raw = b"".join(frame(7, b"{}", [memoryview(b"tail")]))
    magic, length, checksum = FRAME.unpack_from(raw)
    assert (magic, length, checksum) == (MAGIC, len(raw) - FRAME.size, crc32(raw[FRAME.size :]))


def test_prediction_round_trip() -> None:
    record = decode(payload(prediction_head()))
    assert isinstance(record, PredictionRecord)
    assert (record.kind, record.sequence, len(record)) == ("predictions", 7, 2)
    assert record.event_time == MOMENT
    assert record.scores == [0.25, None]
    assert record.columns == {"carrier": ["UA", None]}


def test_record_without_a_slot_is_live() -> None:
    for head, slot in ((prediction_head(), "live"), (prediction_head(slot="canary"), "canary")):
        found = decode(payload(head))
        assert isinstance(found, PredictionRecord)
        assert found.slot == slot


def test_tensor_round_trip_is_exact() -> None:
    first = np.arange(12, dtype="<f4").reshape(2, 2, 3)
    second = np.full((2, 1), np.pi, dtype="<f4")
    record = decode(
        payload(
            prediction_head(tensors=[("image", first.shape), ("extra", second.shape)]),
            tensors=(first.data.cast("B"), second.data.cast("B")),
        )
    )
    assert isinstance(record, PredictionRecord)
    np.testing.assert_array_equal(record.tensors["image"], first)
    np.testing.assert_array_equal(record.tensors["extra"], second)


def test_outcome_round_trip_reads_naive_times_as_utc() -> None:
    record = decode(
        payload(
            {
                "kind": "outcomes",
                "model": "flights",
                "received_at": MOMENT,
                "ids": ["a"],
                "values": [1.0],
                "observed_at": ["2013-01-01T05:15:00.123456"],
                "traceparent": "",
            }
        )
    )
    assert isinstance(record, OutcomeRecord)
    assert (record.kind, len(record), record.observed_at) == ("outcomes", 1, [MOMENT])


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"\0" * 12 + b"{",
        payload({"kind": "gossip"}),
        payload({}),
        payload(prediction_head(event_time="yesterday")),
        payload(prediction_head(tensors=[["image", [2, 1000]]])),
        payload({"kind": "outcomes", "model": "m"}),
    ],
    ids=["nothing", "no JSON", "unknown kind", "no kind", "no time", "tensor cut off", "fields missing"],
)
def test_invalid_payload_raises_broken_record(broken: bytes) -> None:
    with pytest.raises(BrokenRecord):
        decode(broken)
