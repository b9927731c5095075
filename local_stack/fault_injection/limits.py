"""Limits of fault injection: it reaches services on this machine only, and it ends."""

from __future__ import annotations

import math
import re
from ipaddress import ip_address
from urllib.parse import urlsplit

from shared.errors import CallerError

DEFAULT_S = 30.0
MAX_DURATION_S = 600.0


def require_loopback(service: str, url: str) -> None:
    """Raise `CallerError` unless `url` is an address of this machine."""
    host = urlsplit(url).hostname or ""
    try:
        local = host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        local = False
    if not local:
        raise CallerError(
            f"{service} at {url} is not on this machine; faults are injected into a local stack only",
            hint="unset the address, and start a stack with `homeostat up --detach`",
        )


def duration_for(rows: int, rate: float) -> float:
    """Maximum seconds for sending `rows` rows at `rate` rows per second, with a margin for a slow machine.

    Raises `CallerError` above ten minutes.
    """
    needed = rows / rate
    if needed > MAX_DURATION_S:
        raise CallerError(
            f"{rows} rows at {rate:g} per second take longer than the maximum, {MAX_DURATION_S / 60:.0f}m",
            hint=f"use --rate {math.ceil(rows / MAX_DURATION_S)} or more, or send fewer rows",
        )
    return min(MAX_DURATION_S, max(DEFAULT_S, 1.5 * needed + 10.0))


def parse_duration(text: str) -> float:
    """Seconds of a duration such as 30, 30s or 2m. Raises `CallerError` unless it is above 0 and at most ten minutes."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([sm]?)\s*", text)
    seconds = float(match[1]) * (60 if match[2] == "m" else 1) if match else 0.0
    if not 0 < seconds <= MAX_DURATION_S:
        raise CallerError(
            f"{text!r} is not a valid duration; expected seconds or minutes, above 0 and at most {MAX_DURATION_S / 60:.0f}m",
            hint="for example --for 30s or --for 2m",
        )
    return seconds
