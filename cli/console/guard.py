"""Who may ask and who may act: only this page, opened under a name that is ours. Pure.

There is no login, so a page of another site, open in the same browser, must not be able to press our buttons:

1. The Host must be one of ours, else a foreign name that resolves to this address (DNS rebinding) could read and act.
2. What acts is a POST whose body says application/json and which carries our header: a foreign page may not send that unasked.
3. A browser says where a request comes from (Origin, Sec-Fetch-Site): then it must be from here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

from shared.errors import CallerError, InvalidRequest

HEADER = "x-homeostat-console"
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class Forbidden(CallerError):
    """The request comes from elsewhere."""

    status = 403


class Misdirected(CallerError):
    """The request was meant for a host that we are not."""

    status = 421


def host_name(netloc: str) -> str:
    """The name in `name:port`, without brackets; empty where it makes no sense."""
    try:
        return urlsplit(f"//{netloc}").hostname or ""
    except ValueError:
        return ""


def check_host(host: str, ours: Collection[str]) -> None:
    """Raises Misdirected unless the Host header names us."""
    if host_name(host) not in ours:
        raise Misdirected(
            f"this console is not known as {host or 'nothing'}",
            remedy="add the name your proxy passes on to HOMEOSTAT_CONSOLE_NAMES",
        )


def check_origin(headers: Mapping[str, str]) -> None:
    """Raises Forbidden or InvalidRequest unless the request was sent by this console's own page, or by no page at all."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise InvalidRequest(
            f"the header Content-Type is {kind or 'missing'}",
            field="Content-Type",
            expected="application/json",
            status=415,
        )
    if HEADER not in headers:
        raise Forbidden("the header X-Homeostat-Console is missing", remedy="send it with the value 1")
    origin = headers.get("origin")
    if origin is not None and (not _is_web(origin) or urlsplit(origin).netloc != headers.get("host")):
        raise Forbidden(f"a page of {origin} may not act here", remedy="open the console itself")
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise Forbidden("a page of another site may not act here", remedy="open the console itself")


def _is_web(origin: str) -> bool:
    return origin.startswith(("http://", "https://"))
