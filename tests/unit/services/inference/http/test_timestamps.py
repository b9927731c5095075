from __future__ import annotations

from datetime import UTC, datetime

import pytest

from services.inference.http.timestamps import parse_given_timestamp, parse_timestamp
from shared.errors import InvalidRequest

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def test_missing_timestamp_is_now() -> None:
    assert parse_timestamp(None, field="event_time", now=NOW) is NOW


def test_given_timestamp_is_read_as_event_time() -> None:
    read = parse_timestamp("2013-01-01T05:00:00-05:00", field="event_time", now=NOW)
    assert read == datetime(2013, 1, 1, 10, tzinfo=UTC)


@pytest.mark.parametrize("value", ["2013-01-01T05:00:00", "1970-01-01T23:59:59Z", "2026-03-02T00:00:01Z"])
def test_invalid_timestamp_names_field_and_row(value: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_timestamp(value, field="observed_at", now=NOW, row=3)
    assert (caught.value.field, caught.value.row) == ("observed_at", 3)


def test_only_a_given_timestamp_is_parsed() -> None:
    assert parse_given_timestamp(None, field="event_time") is None
    assert parse_given_timestamp("2013-01-01T00:00:00Z", field="event_time") == datetime(
        2013, 1, 1, tzinfo=UTC
    )
