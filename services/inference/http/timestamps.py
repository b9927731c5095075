"""Timestamps in requests: ISO 8601, UTC unless an offset is given."""

from __future__ import annotations

from datetime import UTC, datetime

from services.inference.models.input_schema import show
from shared.contracts.event_time import check_event_time
from shared.errors import InvalidRequest


def parse_timestamp(value: object, *, field: str, now: datetime, row: int | None = None) -> datetime:
    """The timestamp in UTC; `now` if the field is missing. Raises InvalidRequest, also for one out of bounds."""
    if value is None:
        return now
    try:
        if not isinstance(value, str):
            raise ValueError
        timestamp = datetime.fromisoformat(value)
        timestamp = timestamp.replace(tzinfo=UTC) if timestamp.tzinfo is None else timestamp.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidRequest(
            f"`{field}` is {show(value)}",
            field=field,
            expected="an ISO 8601 timestamp, such as 2026-03-01T12:00:00Z",
            row=row,
        ) from None
    return check_event_time(timestamp, now, field=field, row=row)
