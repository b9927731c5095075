"""Requests to an identity provider: bounded in time and size, and never redirected.

A time limit of a socket starts again with each byte, so a slow provider could hold a thread for hours; here a timer cuts the
connection.
"""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from threading import Event, Timer
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from shared.access.loopback import is_loopback
from shared.errors import DependencyUnavailable, OperatorError

TIMEOUT_S: Final = 5.0
MAXIMUM_BYTES: Final = 256 << 10


def check_url(url: str, what: str) -> None:
    """Raises OperatorError unless `url` is https, or http to this machine."""
    parts = urlsplit(url)
    is_local = parts.scheme == "http" and is_loopback(parts.hostname or "")
    if not parts.hostname or (parts.scheme != "https" and not is_local) or parts.username or parts.fragment:
        raise OperatorError(
            f"{what} is {url[:200]!r}, which is not an https:// URL",
            hint="http:// is accepted for addresses of this machine only",
        )


def request_json(
    url: str,
    *,
    form: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    timeout_s: float = TIMEOUT_S,
) -> tuple[int, dict[str, Any]]:
    """Status and JSON object of a GET, or of a POST of `form`. Blocks for at most about `timeout_s`.

    Raises DependencyUnavailable for everything else: no answer, a redirect, another kind of body, or one that is too large.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        connection = (
            HTTPSConnection(host, parts.port, timeout=timeout_s, context=_trusted())
            if parts.scheme == "https"
            else HTTPConnection(host, parts.port, timeout=timeout_s)
        )
        connection.connect()
        # The socket itself: of an answer without a length, the connection forgets it.
        is_late = Event()
        timer = Timer(timeout_s, _cut, (connection.sock, is_late))
        timer.daemon = True
        timer.start()
        try:
            status, content = _exchange(connection, parts.path or "/", parts.query, form, headers or {})
        finally:
            timer.cancel()
            connection.close()
        if is_late.is_set():  # an answer without a length looks complete where it was cut
            raise TimeoutError(f"no answer within {timeout_s:g} s")
        document = json.loads(content)
    except (OSError, HTTPException, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or str(error)[:200] or type(error).__name__
        raise _unavailable(url, reason) from error
    if not isinstance(document, dict):
        raise _unavailable(url, "it returned something else than a JSON object")
    return status, document


def _exchange(
    connection: HTTPConnection,
    path: str,
    query: str,
    form: Mapping[str, str] | None,
    headers: Mapping[str, str],
) -> tuple[int, bytes]:
    sent = {"Accept": "application/json", **headers}
    body = None
    if form is not None:
        sent["Content-Type"] = "application/x-www-form-urlencoded"
        body = urlencode(form).encode()
    target = f"{path}?{query}" if query else path
    connection.request("GET" if body is None else "POST", target, body=body, headers=sent)
    response = connection.getresponse()
    if 300 <= response.status < 400:
        raise HTTPException(f"it answers with a redirect (status {response.status})")
    content = response.read(MAXIMUM_BYTES + 1)
    if len(content) > MAXIMUM_BYTES:
        raise HTTPException(f"its answer is larger than {MAXIMUM_BYTES} bytes")
    return response.status, content


@cache
def _trusted() -> ssl.SSLContext:
    """The authorities of the system, or those in the file that SSL_CERT_FILE names."""
    return ssl.create_default_context()


def _cut(connected: socket.socket, is_late: Event) -> None:
    is_late.set()
    with suppress(OSError):
        connected.shutdown(socket.SHUT_RDWR)


def _unavailable(url: str, reason: str) -> DependencyUnavailable:
    host = urlsplit(url).netloc
    return DependencyUnavailable(
        f"the identity provider at {host} cannot be used: {reason}",
        hint="check HOMEOSTAT_OIDC_ISSUER and that the provider runs; API keys work meanwhile",
    )
