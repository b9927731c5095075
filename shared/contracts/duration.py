"""Durations in `loop.yaml`: a number and a unit, such as 90m or 7d."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_MAX_DURATION = timedelta(days=36500)


def parse_duration(value: Any) -> timedelta:
    """A duration of a text such as 90m. Raises ValueError."""
    if isinstance(value, str):
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhd])\s*", value)
        if match is None:
            raise ValueError("expected a number and a unit of s, m, h or d, such as 90m or 7d")
        seconds = float(match[1]) * _UNITS[match[2]]
        if seconds > _MAX_DURATION.total_seconds():
            raise ValueError(f"a duration is at most {_MAX_DURATION.days}d")
        return timedelta(seconds=seconds)
    if isinstance(value, timedelta):
        return value
    raise ValueError("expected a duration such as 90m or 7d")


def duration_text(value: timedelta) -> str:
    """As in `loop.yaml`.

    >>> duration_text(timedelta(hours=36)), duration_text(timedelta(days=2))
    ('36h', '2d')
    """
    seconds = value.total_seconds()
    for unit in ("d", "h", "m"):
        if seconds >= _UNITS[unit] and seconds % _UNITS[unit] == 0:
            return f"{int(seconds // _UNITS[unit])}{unit}"
    return f"{seconds:.6f}".rstrip("0").rstrip(".") + "s"


Duration = Annotated[
    timedelta, BeforeValidator(parse_duration), PlainSerializer(duration_text, return_type=str)
]
Length = Annotated[Duration, Field(gt=timedelta(0))]
