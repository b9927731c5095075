"""What keeps a rehearsal a rehearsal: it reaches this machine only, and it ends."""

from __future__ import annotations

import math
import re
from ipaddress import ip_address
from urllib.parse import urlsplit

from shared.errors import CallerError

DEFAULT_S = 30.0
LONGEST_S = 600.0


def require_loopback(service: str, url: str) -> None:
    """Raise `CallerError` unless `url` leads to this machine: what is injected into somebody's real service is no rehearsal."""
    host = urlsplit(url).hostname or ""
    try:
        local = host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        local = False
    if not local:
        raise CallerError(
            f"{service} at {url} is not on this machine; rehearsals are for a local stack only",
            hint="homeostat up --detach, then inject without an address",
        )


def length_for(rows: int, rate: float) -> float:
    """Seconds that `rows` rows at `rate` rows a second need, with room for a slow machine.

    Raises `CallerError` above ten minutes.
    """
    needed = rows / rate
    if needed > LONGEST_S:
        raise CallerError(
            f"{rows} rows at {rate:g} a second take longer than a rehearsal may: {LONGEST_S / 60:.0f}m",
            hint=f"say --rate {math.ceil(rows / LONGEST_S)} or more, or send fewer rows",
        )
    return min(LONGEST_S, max(DEFAULT_S, 1.5 * needed + 10.0))


def parse_length(text: str) -> float:
    """Seconds of a length such as 30, 30s or 2m. Raises `CallerError` unless it is above 0 and at most ten minutes."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([sm]?)\s*", text)
    seconds = float(match[1]) * (60 if match[2] == "m" else 1) if match else 0.0
    if not 0 < seconds <= LONGEST_S:
        raise CallerError(
            f"{text!r} is no length of a rehearsal; expected seconds or minutes, above 0 and at most {LONGEST_S / 60:.0f}m",
            hint="say for example --for 30s or --for 2m",
        )
    return seconds
