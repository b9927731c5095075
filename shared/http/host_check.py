"""Host and Origin checks against pages of other sites in a browser. An ASGI middleware, and the two checks as pure functions.

A browser that shows a page of another site can be made to send requests here, in two ways:

1. DNS rebinding: the page's own host name is made to resolve to this address. The Host header still has that name, so only
   allowed hosts are served. (Starlette's TrustedHostMiddleware does this too, but answers in plain text, knows no loopback
   range and has no paths for probes.)
2. Cross-site requests (CSRF): the browser says where they come from in Origin and Sec-Fetch-Site. Those may read, not write.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from shared.access.loopback import is_loopback
from shared.errors import CallerError
from shared.http.health import LIVE, METRICS, READY

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
# Probes and Prometheus use the address that a machine happens to have, and read only figures.
ANY_HOST: Final = frozenset({LIVE, READY, METRICS})


class Forbidden(CallerError):
    """The request was sent by a page of another site."""

    status = 403


class Misdirected(CallerError):
    """The Host header is not one of this service's names."""

    status = 421


@dataclass(frozen=True)
class AllowedHosts:
    """Host names under which a service answers, beside loopback. `setting` is where an operator adds one."""

    names: frozenset[str]
    setting: str

    @classmethod
    def of(cls, host: str, names: str, setting: str) -> AllowedHosts:
        """For a service that listens on `host`; `names` are comma separated."""
        stripped = (name.strip().lower() for name in (host, *names.split(",")))
        return cls(frozenset(name for name in stripped if name), setting)

    def check(self, host: str) -> None:
        """Raises Misdirected unless the Host header has an allowed name."""
        name = _host_name(host)
        if not is_loopback(name) and name not in self.names:
            raise Misdirected(
                f"Host header {host[:200]} is not allowed" if host else "the Host header is missing",
                hint=f"use an allowed host name, or add this one to {self.setting}",
            )


def check_origin(headers: Mapping[str, str]) -> None:
    """Raises Forbidden if a browser sent the request for a page of another site. Header names are in lower case."""
    origin = headers.get("origin")
    if origin is not None and (not _is_web(origin) or _netloc(origin) != headers.get("host")):
        raise Forbidden(f"Origin {origin[:200]} is not allowed", hint="send the request from the console")
    site = headers.get("sec-fetch-site", "same-origin")
    if site not in ("same-origin", "none"):
        raise Forbidden(
            f"Sec-Fetch-Site {site[:80]} is not allowed", hint="send the request from the console"
        )


class HostCheck:
    """ASGI middleware that refuses foreign hosts, and cross-site requests that write. `refuse` makes the response."""

    def __init__(self, app: Any, *, hosts: AllowedHosts, refuse: Callable[[CallerError, str], Any]) -> None:
        self._app = app
        self._hosts = hosts
        self._refuse = refuse

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        """ASGI."""
        app = self._app
        if scope["type"] == "http" and scope["path"] not in ANY_HOST:
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
            try:
                self._hosts.check(headers.get("host", ""))
                if scope["method"] not in SAFE_METHODS:
                    check_origin(headers)
            except CallerError as error:
                app = self._refuse(error, scope["path"])
        await app(scope, receive, send)


def _host_name(netloc: str) -> str:
    """The name in `name:port`, in lower case and without brackets; empty if it is malformed."""
    try:
        return urlsplit(f"//{netloc}").hostname or ""
    except ValueError:
        return ""


def _netloc(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def _is_web(origin: str) -> bool:
    return origin.startswith(("http://", "https://"))
