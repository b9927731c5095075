"""Times: how one is written in a request, as a number, and the bounds of an event time. Pure.

A time has an offset: without one, a sender five hours from UTC would be misread by five hours without an error.
Windows, training and schedules follow the newest event time there is, so one row from the year 2999 would end every window at
once, and one from the year 1 would open a window two thousand years long. Every entrance refuses it with the same message.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from shared.errors import InvalidRequest
from shared.validation_text import show

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)
# Microseconds since 1970 of the years 1 to 9999, the range of Python's datetime.
MIN_TIME, MAX_TIME = -62_135_596_800_000_000, 253_402_300_799_999_999
TIME_FORM = "ISO 8601 with an offset, such as 2026-03-01T12:00:00Z"
# A day after 1970: a day before any row is still a time that every store can write.
EARLIEST = datetime(1970, 1, 2, tzinfo=UTC)
# Clocks go wrong by hours, time zones by less than a day.
MAX_AHEAD = timedelta(days=1)


def parse_time(value: object, *, field: str, row: int | None = None) -> datetime:
    """The time in UTC of ISO 8601 text with an offset. Raises InvalidRequest (422)."""
    try:
        if not isinstance(value, str):
            raise ValueError
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        problem = f"`{field}` is {show(value)}"
    else:
        problem = f"`{field}` is {show(value)}, without an offset from UTC"
    raise InvalidRequest(problem, field=field, expected=TIME_FORM, row=row)


def parse_event_time(value: object, now: datetime, *, field: str, row: int | None = None) -> datetime:
    """A time of a request, in UTC and within the bounds. Raises InvalidRequest (422)."""
    return check_event_time(parse_time(value, field=field, row=row), now, field=field, row=row)


def check_event_time(moment: datetime, now: datetime, *, field: str, row: int | None = None) -> datetime:
    """The given time, if it lies from `EARLIEST` to `MAX_AHEAD` after `now`. Raises InvalidRequest (422).

    Both have an offset. `field` is the request's name for it, `row` its place where there are rows.
    """
    if EARLIEST <= moment <= now + MAX_AHEAD:
        return moment
    too_early = moment < EARLIEST
    raise InvalidRequest(
        f"`{field}` is {moment.isoformat()}, "
        + ("before 1970-01-02" if too_early else "more than a day ahead of this machine's clock"),
        field=field,
        expected=f"a time from {EARLIEST:%Y-%m-%d} to one day after now",
        row=row,
    )


def to_micros(moment: datetime) -> int:
    """Microseconds since 1970."""
    return (moment - EPOCH) // INSTANT


def from_micros(micros: int) -> datetime:
    """The time that many microseconds after 1970, UTC."""
    return EPOCH + timedelta(microseconds=micros)
