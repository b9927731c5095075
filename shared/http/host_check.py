"""Who may knock at a door without a login: whoever asks for us by a name that is ours, and no page of another site. Pure.

A browser that shows a page of another site can be made to send requests here, in two ways:

1. The page's own name is made to resolve to this address (DNS rebinding): to the browser we are then that page's own site. The
   Host header still says that name, so only our names are let in.
2. The page sends a request across sites. A browser then says where it comes from (Origin, Sec-Fetch-Site): what acts must not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from shared.errors import CallerError

# Methods that change nothing: a page of another site may send them, but is not shown the answer.
READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class Forbidden(CallerError):
    """The request comes from elsewhere."""

    status = 403


class Misdirected(CallerError):
    """The request was meant for a host that we are not."""

    status = 421


@dataclass(frozen=True)
class Doorkeeper:
    """Lets in who asks for this machine itself (loopback) or for one of `names`; `setting` is where a person adds a name."""

    names: frozenset[str]
    setting: str

    @classmethod
    def of(cls, host: str, names: str, setting: str) -> Doorkeeper:
        """The keeper of a service that listens on `host` and is also called by `names`, comma separated."""
        return cls(frozenset(name.lower() for name in _split([host, *names.split(",")])), setting)

    def check(self, method: str, headers: Mapping[str, str]) -> None:
        """Raises Misdirected or Forbidden. `headers` are asked for in lower case."""
        host = headers.get("host", "")
        name = host_name(host)
        if not is_loopback(name) and name not in self.names:
            raise Misdirected(
                f"this service is not known as {host or 'nothing'}",
                hint=f"ask for it by a name of its own, or add that name to {self.setting}",
            )
        if method not in READING:
            check_page(headers, hint="call the service itself, or through the console")


def check_page(headers: Mapping[str, str], *, hint: str) -> None:
    """Raises Forbidden where a browser says that a page of another site sent this."""
    origin = headers.get("origin")
    if origin is not None and (not _is_web(origin) or _netloc(origin) != headers.get("host")):
        raise Forbidden(f"a page of {origin} may not act here", hint=hint)
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise Forbidden("a page of another site may not act here", hint=hint)


def host_name(netloc: str) -> str:
    """The name in `name:port`, in lower case and without brackets; empty where it makes no sense."""
    try:
        return urlsplit(f"//{netloc}").hostname or ""
    except ValueError:
        return ""


def is_loopback(name: str) -> bool:
    """Whether a name can only ever mean this machine itself."""
    if name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def _split(names: Iterable[str]) -> list[str]:
    return [name.strip() for name in names if name.strip()]


def _netloc(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def _is_web(origin: str) -> bool:
    return origin.startswith(("http://", "https://"))
