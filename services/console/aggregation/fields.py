"""Reading what other processes said, whatever it is: a field that is missing or of another kind becomes an empty value. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

LONGEST_TEXT = 400


def mapping(value: Any) -> Mapping[str, Any]:
    """The mapping, or an empty one."""
    return value if isinstance(value, dict) else {}


def mappings(body: Any, key: str) -> Iterator[Mapping[str, Any]]:
    """The mappings in the list under `key`; what else stands there is left out."""
    found = mapping(body).get(key)
    yield from (item for item in found if isinstance(item, dict)) if isinstance(found, list) else ()


def text(body: Mapping[str, Any], key: str, longest: int = LONGEST_TEXT) -> str:
    """The text under `key`, cut where it is longer than a page should show."""
    value = body.get(key)
    if not isinstance(value, str):
        return ""
    return value if len(value) <= longest else value[: longest - 1] + "…"


def texts(body: Mapping[str, Any], key: str, most: int = 12) -> tuple[str, ...]:
    """The texts in the list under `key`."""
    found = body.get(key)
    if not isinstance(found, list):
        return ()
    return tuple(item[:LONGEST_TEXT] for item in found if isinstance(item, str))[:most]


def number(body: Mapping[str, Any], key: str) -> float | None:
    """The finite number under `key`; None where there is none."""
    value = body.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def whole(body: Mapping[str, Any], key: str) -> int:
    """The whole number under `key`, else 0."""
    value = body.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def moment(body: Mapping[str, Any], key: str) -> datetime | None:
    """The ISO 8601 moment under `key`, in UTC; None where there is none or it has no offset."""
    value = body.get(key)
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value)
        return found.astimezone(UTC) if found.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def since_epoch(seconds: float | None) -> datetime | None:
    """A moment from seconds since 1970; None for none, and for the zero of a gauge that was never set."""
    if seconds is None or not math.isfinite(seconds) or seconds <= 0:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None
