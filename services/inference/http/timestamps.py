"""Moments in requests: ISO 8601, UTC unless an offset is given."""

from __future__ import annotations

from datetime import UTC, datetime

from services.inference.models.input_schema import show
from shared.contracts.event_time import check_event_time
from shared.errors import InvalidRequest


def parse_moment(value: object, *, field: str, now: datetime, row: int | None = None) -> datetime:
    """The moment a request names, in UTC; `now` where it names none. Raises InvalidRequest, also for one out of bounds."""
    if value is None:
        return now
    try:
        if not isinstance(value, str):
            raise ValueError
        moment = datetime.fromisoformat(value)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidRequest(
            f"`{field}` is {show(value)}",
            field=field,
            expected="a moment in ISO 8601, such as 2026-03-01T12:00:00Z",
            row=row,
        ) from None
    return check_event_time(moment, now, field=field, row=row)
