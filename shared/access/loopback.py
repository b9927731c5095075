"""Whether a host name or address means this machine only."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address


@lru_cache(maxsize=256)
def is_loopback(name: str) -> bool:
    """True for `localhost`, 127.0.0.0/8 and ::1."""
    if name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False
