"""Who may ask and who may act: only this page, opened under a name that is ours. Pure.

There is no login, so a page of another site, open in the same browser, must not be able to press our buttons:

1. The Host must be one of ours, else a foreign name that resolves to this address (DNS rebinding) could read and act.
2. What acts is a POST whose body says application/json and which carries our header: a foreign page may not send that unasked.
3. A browser says where a request comes from (Origin, Sec-Fetch-Site): then it must be from here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from shared.errors import InvalidRequest
from shared.http.host_check import Forbidden, Misdirected, check_page, host_name

HEADER = "x-homeostat-console"
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def check_host(host: str, ours: Collection[str]) -> None:
    """Raises Misdirected unless the Host header names us."""
    if host_name(host) not in ours:
        raise Misdirected(
            f"this console is not known as {host or 'nothing'}",
            hint="add the name your proxy passes on to HOMEOSTAT_CONSOLE_NAMES",
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
        raise Forbidden("the header X-Homeostat-Console is missing", hint="send it with the value 1")
    check_page(headers, hint="open the console itself")


def check_framed(headers: Mapping[str, str]) -> None:
    """Raises Forbidden where a browser is about to show as a page of its own what belongs in a frame."""
    if headers.get("sec-fetch-dest", "iframe") != "iframe":
        raise Forbidden("a report is shown in the console's page about it", hint="leave out /content")
