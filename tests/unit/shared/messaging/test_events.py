from __future__ import annotations

import pytest

from shared.messaging.events import JSON, Event


def test_attributes_travel_as_headers_and_come_back() -> None:
    event = Event.now(
        "homeostat.test.v1", source="w", model="flights", content_type=JSON, traceparent="00-1-2-01"
    )
    headers = dict(event.headers())
    assert headers["ce_specversion"] == b"1.0"
    assert headers["traceparent"] == b"00-1-2-01"
    assert Event.from_headers(event.headers()) == event


def test_without_a_trace_there_is_no_traceparent() -> None:
    event = Event.now("homeostat.test.v1", source="w", model="flights", content_type=JSON)
    assert "traceparent" not in dict(event.headers())
    assert Event.from_headers(event.headers()) == event


def test_two_events_have_two_ids() -> None:
    first, second = (Event.now("t", source="w", model="m", content_type=JSON) for _ in range(2))
    assert first.event_id != second.event_id


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("ce_model", None, "headers are missing: ce_model"),
        ("ce_type", b"", "headers are missing: ce_type"),
        ("ce_specversion", b"0.3", "ce_specversion is '0.3'"),
        ("ce_time", b"noon", "ce_time is not an ISO 8601 time"),
        ("ce_source", b"\xff", "not UTF-8"),
    ],
)
def test_a_missing_or_unreadable_attribute_is_named(name: str, value: bytes | None, said: str) -> None:
    headers = dict(Event.now("t", source="w", model="m", content_type=JSON).headers())
    headers.pop(name)
    if value is not None:
        headers[name] = value
    with pytest.raises(ValueError, match=said):
        Event.from_headers(list(headers.items()))
