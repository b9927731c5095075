"""The bounds of event time, to the microsecond."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from shared.contracts.event_time import check_event_time
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
def test_within_the_bounds_a_moment_stays_itself(moment: datetime) -> None:
    assert check_event_time(moment, NOW, field="event_time") is moment


@pytest.mark.parametrize(
    ("moment", "told"),
    [
        (datetime(1, 1, 1, tzinfo=UTC), "before 1970-01-02"),
        (datetime(1970, 1, 2, tzinfo=UTC) - INSTANT, "before 1970-01-02"),
        (NOW + timedelta(days=1) + INSTANT, "more than a day ahead"),
        (datetime(2999, 1, 1, tzinfo=UTC), "more than a day ahead"),
    ],
)
def test_outside_of_them_it_is_refused_by_name(moment: datetime, told: str) -> None:
    with pytest.raises(InvalidRequest, match=told) as caught:
        check_event_time(moment, NOW, field="observed_at", row=3)
    assert (caught.value.status, caught.value.field, caught.value.row) == (422, "observed_at", 3)
