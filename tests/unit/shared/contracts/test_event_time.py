"""Event time: its form, and its bounds to the microsecond."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from shared.contracts.event_time import (
    MAX_TIME,
    MIN_TIME,
    check_event_time,
    from_micros,
    parse_event_time,
    parse_time,
    to_micros,
)
from shared.errors import InvalidRequest

NOW = datetime(2026, 3, 1, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)


@pytest.mark.parametrize(
    "moment",
    [
        datetime(1970, 1, 2, tzinfo=UTC),
        datetime(1970, 1, 1, 22, tzinfo=timezone(timedelta(hours=-2))),
        datetime(2013, 1, 1, tzinfo=UTC),
        NOW,
        NOW + timedelta(days=1),
    ],
)
def test_time_within_bounds_is_unchanged(moment: datetime) -> None:
    assert check_event_time(moment, NOW, field="event_time") is moment


@pytest.mark.parametrize(
    ("moment", "message"),
    [
        (datetime(1, 1, 1, tzinfo=UTC), "before 1970-01-02"),
        (datetime(1970, 1, 2, tzinfo=UTC) - INSTANT, "before 1970-01-02"),
        (NOW + timedelta(days=1) + INSTANT, "more than a day ahead"),
        (datetime(2999, 1, 1, tzinfo=UTC), "more than a day ahead"),
    ],
)
def test_outside_of_them_it_is_refused_by_name(moment: datetime, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message) as caught:
        check_event_time(moment, NOW, field="observed_at", row=3)
    assert (caught.value.status, caught.value.field, caught.value.row) == (422, "observed_at", 3)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2013-01-01T05:00:00Z", datetime(2013, 1, 1, 5, tzinfo=UTC)),
        ("2013-01-01T05:00:00-05:00", datetime(2013, 1, 1, 10, tzinfo=UTC)),
        ("2013-01-01 05:00+0100", datetime(2013, 1, 1, 4, tzinfo=UTC)),
    ],
)
def test_time_with_offset_is_read_in_utc(text: str, moment: datetime) -> None:
    assert parse_time(text, field="event_time") == moment
    assert parse_event_time(text, NOW, field="event_time").tzinfo is UTC


@pytest.mark.parametrize(
    "value",
    ["yesterday", "", 1356998400, True, None, "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"],
)
def test_malformed_time_is_refused(value: object) -> None:
    with pytest.raises(InvalidRequest, match="`end` is ") as caught:
        parse_time(value, field="end", row=3)
    assert (caught.value.status, caught.value.field, caught.value.row) == (422, "end", 3)
    assert "offset" in caught.value.expected


@pytest.mark.parametrize("value", ["2026-01-05T10:00:00", "2026-01-05"])
def test_time_without_offset_is_refused(value: str) -> None:
    with pytest.raises(InvalidRequest, match="without an offset"):
        parse_event_time(value, NOW, field="event_time")


@pytest.mark.parametrize(
    ("moment", "micros"),
    [
        (datetime(1970, 1, 1, tzinfo=UTC) + INSTANT, 1),
        (datetime(1969, 12, 31, tzinfo=timezone(timedelta(hours=2))), -26 * 3_600_000_000),
        (datetime(1, 1, 1, tzinfo=UTC), MIN_TIME),
        (datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC), MAX_TIME),
    ],
)
def test_micros_keep_every_microsecond(moment: datetime, micros: int) -> None:
    assert to_micros(moment) == micros
    assert from_micros(micros) == moment
