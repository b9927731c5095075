"""The bounds of event time: times that a request may contain. Pure.

Windows, training and schedules follow the newest event time there is, so one row from the year 2999 would end every window at
once, and one from the year 1 would open a window two thousand years long. Every entrance refuses it with the same message.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from shared.errors import InvalidRequest

# A day after 1970: a day before any row is still a time that every store can write.
EARLIEST = datetime(1970, 1, 2, tzinfo=UTC)
# Clocks go wrong by hours, time zones by less than a day.
LONGEST_AHEAD = timedelta(days=1)


def check_event_time(moment: datetime, now: datetime, *, field: str, row: int | None = None) -> datetime:
    """The given time, if it lies from `EARLIEST` to `LONGEST_AHEAD` after `now`. Raises InvalidRequest (422).

    Both have an offset. `field` is the request's name for it, `row` its place where there are rows.
    """
    if EARLIEST <= moment <= now + LONGEST_AHEAD:
        return moment
    too_early = moment < EARLIEST
    raise InvalidRequest(
        f"`{field}` is {moment.isoformat()}, "
        + ("before 1970-01-02" if too_early else "more than a day ahead of this machine's clock"),
        field=field,
        expected=f"a moment from {EARLIEST:%Y-%m-%d} to one day after now",
        row=row,
    )
