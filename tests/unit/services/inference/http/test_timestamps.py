from __future__ import annotations

from datetime import UTC, datetime

import pytest

from services.inference.http.timestamps import parse_timestamp
from shared.errors import InvalidRequest

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        (None, NOW),
        ("2013-01-01T05:00:00Z", datetime(2013, 1, 1, 5, tzinfo=UTC)),
        ("2013-01-01T05:00:00", datetime(2013, 1, 1, 5, tzinfo=UTC)),
        ("2013-01-01T05:00:00-05:00", datetime(2013, 1, 1, 10, tzinfo=UTC)),
    ],
)
def test_timestamps_are_parsed_as_utc(text: object, moment: datetime) -> None:
    assert parse_timestamp(text, field="event_time", now=NOW) == moment


@pytest.mark.parametrize(
    "value",
    [
        "yesterday",
        "",
        1356998400,
        True,
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "0001-01-01T00:00:00Z",
        "1970-01-01T23:59:59Z",
        "2026-03-02T00:00:01Z",
        "2999-01-01T00:00:00Z",
    ],
)
def test_malformed_timestamp_is_refused(value: object) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_timestamp(value, field="observed_at", now=NOW, row=3)
    assert (caught.value.field, caught.value.row) == ("observed_at", 3)
