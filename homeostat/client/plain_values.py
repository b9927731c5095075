"""Values of numpy, pandas and others as what JSON can hold; times with an offset. Pure, and imports none of these libraries."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from shared.contracts.event_time import parse_time
from shared.errors import InvalidRequest

_AS_IS = frozenset({str, int, bool, type(None)})
WITH_OFFSET = "a time with an offset from UTC, such as datetime.now(UTC) or 2026-03-01T12:00:00Z"


def plain(value: Any) -> Any:
    """The value as text, number, boolean, list or None. NaN, NaT and NA are None; unknown types are returned unchanged."""
    kind = type(value)
    if kind in _AS_IS:
        return value
    if kind is float:
        return value if value == value else None
    if kind is list or kind is tuple:
        return [plain(item) for item in value]
    if kind.__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, Decimal):
        return plain(float(value))
    # A numpy scalar or array. A date of numpy would become a bare number.
    if hasattr(value, "tolist") and getattr(getattr(value, "dtype", None), "kind", "") not in ("m", "M"):
        return plain(value.tolist())
    if isinstance(value, str):  # a subclass, such as numpy's or an enumeration
        return str.__str__(value)
    return value


def time_text(value: Any, *, field: str, row: int | None = None) -> str | None:
    """ISO 8601 with an offset; None for None. Raises InvalidRequest for a time without an offset, and for anything else."""
    if value is None:
        return None
    if isinstance(value, str):
        parse_time(value, field=field, row=row)
        return str.__str__(value)
    if isinstance(value, datetime) and value == value and value.tzinfo is not None:
        return value.isoformat(timespec="microseconds")
    missing = isinstance(value, datetime) and value == value
    raise InvalidRequest(
        f"`{field}` is {repr(value)[:60]}" + (", without an offset from UTC" if missing else ""),
        field=field,
        expected=WITH_OFFSET,
        row=row,
    )
