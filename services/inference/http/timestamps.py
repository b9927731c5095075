"""Optional timestamps in requests."""

from __future__ import annotations

from datetime import UTC, datetime

from shared.contracts.event_time import parse_event_time


def parse_timestamp(value: object, *, field: str, now: datetime, row: int | None = None) -> datetime:
    """The timestamp in UTC; `now` if the field is missing. Raises InvalidRequest."""
    return now if value is None else parse_event_time(value, now, field=field, row=row)


def parse_given_timestamp(value: object, *, field: str) -> datetime | None:
    """The timestamp in UTC; None if the field is missing. Raises InvalidRequest."""
    return None if value is None else parse_event_time(value, datetime.now(UTC), field=field)
