"""Whether a request can have been sent by a program of this machine itself: only such a request may do without credentials.

A proxy on this machine hands on what others sent, and a browser sends what a page of another site asks for. Both connect from
here, and both say so in their headers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from shared.access.loopback import is_loopback

# Headers that proxies add (RFC 7239; RFC 9110, 7.6.3).
RELAYED: Final = frozenset(
    {b"forwarded", b"via", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip"}
)
_OWN_SITES = frozenset({b"none", b"same-origin"})


def is_direct(method: str, headers: Sequence[tuple[bytes, bytes]]) -> bool:
    """False for a request that was relayed, that names another host, or that a page of another site caused to be written.

    Header names are in lower case.
    """
    host, origin, site = b"", None, None
    for name, value in headers:
        if name in RELAYED:
            return False
        if name == b"host":
            host = value
        elif name == b"origin":
            origin = value
        elif name == b"sec-fetch-site":
            site = value
    if host and not is_loopback(_name(host)):
        return False
    if origin is not None and origin.partition(b"://")[2] != host:
        return False
    return method in ("GET", "HEAD") or site is None or site in _OWN_SITES


def _name(host: bytes) -> str:
    try:
        return urlsplit(f"//{host.decode('latin-1')}").hostname or ""
    except ValueError:
        return ""
