"""The console in front of a fake loop, without a network: snapshots, pages, requests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cached_property
from html.parser import HTMLParser
from typing import Any, TypeVar

import httpx
from prometheus_client import CollectorRegistry

from services.console.aggregation.aggregator import Aggregator
from services.console.aggregation.console_snapshot import ConsoleSnapshot
from services.console.aggregation.endpoints import Endpoints
from services.console.aggregation.poller import Poller
from services.console.http.action_client import ActionClient
from services.console.http.app import make_app
from services.console.http.console_access import ConsoleAccess
from services.console.http.csrf import HEADER
from services.console.http.login_routes import Logins
from services.console.http.routes import Dependencies
from services.console.http.session_cookie import SessionCookie
from services.console.metrics import ConsoleMetrics
from services.console.sessions.failed_logins import FailedLogins
from services.console.sessions.login_codes import LoginCodes
from services.console.sessions.oidc_client import OidcClient
from services.console.sessions.renewal import TokenRenewal
from services.console.sessions.session_store import SessionStore
from services.console.views import page
from services.console.views.viewer import Viewer
from shared.access.caller import Caller
from shared.access.scope import Scope
from shared.http.host_check import AllowedHosts
from tests.fakes.identity_provider import CLIENT, CLIENT_SECRET, IdentityProvider
from tests.fakes.loop_services import FakeLoop, endpoints, wire
from tests.fakes.memory_keys import ALL, FakeKeys
from tests.unit.shared.access.oidc.test_token_verifier import verifier_of

BASE = "http://loop"
LOCAL = Viewer(Caller("local", ALL))
Result = TypeVar("Result")


class Clock:
    """A clock that is set by hand, with monotonic ticks."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.tick = 0.0

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> None:
        self.tick += seconds
        self.set_by(seconds)

    def set_by(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def ticks(self) -> float:
        return self.tick


class Console:
    """A console and the fake loop behind it, used inside one event loop."""

    def __init__(
        self,
        loop: FakeLoop,
        *,
        where: Endpoints | None = None,
        anonymous: bool = True,
        is_secure: bool = False,
        api_key: str = "",
        provider: IdentityProvider | None = None,
        registration: dict[str, str] | None = None,
    ) -> None:
        self.clock = Clock(loop.now)
        self.endpoints = where or endpoints(BASE)
        metrics = ConsoleMetrics(CollectorRegistry())
        client = httpx.AsyncClient(transport=wire(loop))
        poller = Poller(client, self.clock, self.clock.ticks, metrics, api_key)
        self.aggregator = Aggregator(poller, lambda: self.endpoints, self.clock, self.clock.ticks, metrics)
        self.keys = FakeKeys()
        self.verifier = verifier_of(provider) if provider else None
        authenticator = self.keys.authenticator(anonymous=anonymous, tokens=self.verifier)
        self.oidc = None
        if self.verifier is not None:
            known: dict[str, Any] = {
                "client_id": CLIENT,
                "client_secret": CLIENT_SECRET,
                **(registration or {}),
            }
            self.oidc = OidcClient(self.verifier, **known)
        self.renewal = TokenRenewal(self.oidc, self.clock.ticks) if self.oidc else None
        self.sessions = SessionStore(self.clock.ticks, idle_s=1800, lifetime_s=7200, maximum=5)
        cookie = SessionCookie(is_secure=is_secure)
        logins = Logins(
            authenticator,
            ConsoleAccess(authenticator, self.sessions, cookie, self.renewal),
            self.sessions,
            LoginCodes(self.clock.ticks),
            FailedLogins(self.clock.ticks),
            cookie,
            self.oidc.provider_name if self.oidc else "",
        )
        self._dependencies = Dependencies(
            self.aggregator,
            ActionClient(client, lambda: self.endpoints.retraining),
            client,
            lambda: self.endpoints.drift,
            lambda: self.endpoints.retraining,
            metrics,
            logins,
            api_key,
            self.oidc,
        )
        self._poller = poller
        self.origin = f"http{'s' if is_secure else ''}://localhost:8005"

    @cached_property
    def http(self) -> httpx.AsyncClient:
        """A client of the application. Making it takes longer than a snapshot, which most tests are about."""
        hosts = AllowedHosts.of("127.0.0.1", "", "HOMEOSTAT_CONSOLE_NAMES")
        app = make_app(self._dependencies, hosts, self._poller.close)
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app, raise_app_exceptions=False), base_url=self.origin
        )

    async def log_in(self, name: str = "local", scopes: frozenset[Scope] = ALL) -> str:
        """Log in with a new key, as the form does; the key."""
        key = self.keys.add(name, scopes)
        response = await self.submit("/login", key=key)
        assert (response.status_code, response.headers["Location"]) == (303, "/"), response.text
        return key

    async def submit(self, path: str, /, **fields: str) -> httpx.Response:
        """A form of the page."""
        return await self.http.post(path, data=fields, headers={"Origin": self.origin})

    async def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        """A POST as the page's script sends it, of a person who is logged in."""
        if not len(self.sessions):
            await self.log_in()
        sent = {"Origin": self.origin, HEADER: "1", **headers}
        return await self.http.post(
            path, json=body, headers={name: value for name, value in sent.items() if value}
        )


def take_snapshot(loop: FakeLoop, **changed: Any) -> ConsoleSnapshot:
    """One snapshot."""

    async def once() -> ConsoleSnapshot:
        return await Console(loop, **changed).aggregator.snapshot()

    return asyncio.run(once())


def render_page(snapshot: ConsoleSnapshot, viewer: Viewer = LOCAL) -> str:
    """The page, by default of a person who may do everything."""
    return page.render_page(snapshot, viewer)


def render_main(snapshot: ConsoleSnapshot, viewer: Viewer = LOCAL) -> str:
    """The part of the page that is refreshed."""
    return page.render_main(snapshot, viewer)


def run(work: Callable[[], Any]) -> Any:
    """Run a coroutine function to its end."""
    return asyncio.run(work())


class Element:
    """An element of a page: `name`, `attributes`, its `raw` text, and its `text` with white space as a browser shows it."""

    def __init__(self, name: str, attributes: dict[str, str]) -> None:
        self.name = name
        self.attributes = attributes
        self.raw = ""

    @property
    def text(self) -> str:
        return " ".join(self.raw.split())

    @property
    def id(self) -> str:
        return self.attributes.get("id", "")


class Page(HTMLParser):
    """A parsed page. Fails if elements are not closed in order."""

    VOID = frozenset({"meta", "link", "br", "input", "rect", "path", "circle", "line"})

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self.feed(html)
        self.close()
        assert [element.name for element in self._open] == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.elements.append(element)
        if tag not in self.VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        closed = self._open.pop()
        assert closed.name == tag, f"</{tag}> closes <{closed.name} {closed.attributes}>"

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.raw += data

    def all(self, name: str, **attributes: str) -> list[Element]:
        wanted = {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items()}
        return [
            element
            for element in self.elements
            if element.name == name
            and all(element.attributes.get(key) == value for key, value in wanted.items())
        ]

    def one(self, name: str, **attributes: str) -> Element:
        [found] = self.all(name, **attributes)
        return found

    def by_id(self, identity: str) -> Element:
        [found] = [element for element in self.elements if element.id == identity]
        return found
