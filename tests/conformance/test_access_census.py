"""Every route of every service of ours with every state of credentials. Inference has a census of its own, on both of its paths.

A request that is let in reaches dependencies that fail: any answer but 401 and 403 means that it was let in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from services.console.http.app import make_app as make_console
from services.console.http.routes import Dependencies as ConsoleDependencies
from services.console.metrics import ConsoleMetrics
from services.drift.http.app import make_app as make_drift
from services.drift.http.routes import Dependencies as DriftDependencies
from services.retraining.http.app import make_app as make_retraining
from services.retraining.http.routes import RouteDependencies
from services.retraining.metrics import RetrainingMetrics
from shared.access.api_key import make_key
from shared.access.authenticator import Authenticator
from shared.access.key_file import KeyFile
from shared.access.route_table import PUBLIC, ROUTES, RouteTable
from shared.access.scope import ANONYMOUS_SCOPES, Scope
from shared.errors import Conflict
from shared.http.access_check import AccessCheck
from shared.http.host_check import AllowedHosts
from shared.http.metrics_server import MetricsApp, Refusal
from tests.fakes.console_logins import console_logins

NOW = datetime.now(UTC)
HOSTS = AllowedHosts.of("127.0.0.1", "", "NAMES")


class Failing:
    """Any dependency: whatever is asked of it fails."""

    def __getattr__(self, name: str) -> Any:
        return self

    def __call__(self, *_: object, **__: object) -> Any:
        raise Conflict("reached")


class NoDelegations(Failing):
    """A ledger without a delegation; whatever else is asked of it fails. The tests of delegations have some."""

    @property
    def delegations(self) -> NoDelegations:
        return self

    def is_delegate(self, *_: object) -> bool:
        return False


class NobodyDelegates(Failing):
    """As `NoDelegations`, for the console."""

    async def is_delegate(self, _: str) -> bool:
        return False


class FailingRegistry(CollectorRegistry):
    """Metrics can be added; reading them fails."""

    def collect(self) -> Any:
        """Fail."""
        raise Conflict("reached")


def app_of(service: str, authenticator: Authenticator) -> Any:
    """The application of a service around dependencies that fail."""
    failing: Any = Failing()
    if service == "drift":
        return make_drift(
            replaced(
                DriftDependencies,
                failing,
                hosts=HOSTS,
                authenticator=authenticator,
                registry=FailingRegistry(),
            )
        )
    if service == "retraining":
        made = replaced(
            RouteDependencies,
            failing,
            hosts=HOSTS,
            authenticator=authenticator,
            metrics=RetrainingMetrics(),
            maximum_body_bytes=1000,
            ledger=NoDelegations(),
            clock=lambda: NOW,
        )
        return make_retraining(made, failing)
    if service == "console":
        return make_console(
            replaced(
                ConsoleDependencies,
                failing,
                metrics=ConsoleMetrics(CollectorRegistry()),
                logins=console_logins(authenticator),
                oidc=None,
                url="",
                aggregator=NobodyDelegates(),
            ),
            HOSTS,
            failing,
        )
    return AccessCheck(
        MetricsApp(failing, failing),
        routes=RouteTable.of(service),
        authenticator=authenticator,
        refuse=Refusal,
    )


def replaced(kind: type[Any], failing: Any, **known: Any) -> Any:
    """Dependencies that are `known`, all others failing."""
    return kind(**{name: known.get(name, failing) for name in kind.__dataclass_fields__})


class Credentials:
    """The header of every state, and whether it admits a caller with a scope."""

    def __init__(self, folder: Path) -> None:
        self.file = KeyFile(folder / "keys.json")
        self.headers: dict[str, str | None] = {
            "none": None,
            "empty": "",
            "other scheme": "Basic YTpi",
            "malformed": "Bearer key",
            "unknown": f"Bearer hs_{'0' * 12}_{'A' * 43}",
            "token of no provider": "Bearer e30.e30.e30",
        }
        self.granted: dict[str, frozenset[Scope]] = {}
        self._add("everything", frozenset(Scope))
        for scope in Scope:
            self._add(f"only {scope}", frozenset({scope}))
            self._add(f"all but {scope}", frozenset(Scope) - {scope})
        self._add("expired", frozenset(Scope), valid=False, expires_at=NOW - timedelta(seconds=1))
        self._add("revoked", frozenset(Scope), valid=False, revoked_at=NOW - timedelta(seconds=1))
        everything = self.headers["everything"]
        assert everything is not None
        self.headers["wrong secret"] = everything[:-43] + "A" * 43
        self.headers["with a comma"] = f"{everything}, {everything}"

    def _add(self, name: str, scopes: frozenset[Scope], *, valid: bool = True, **more: Any) -> None:
        with self.file.changing() as keys:
            key, text = make_key(name.replace(" ", "-"), scopes, NOW)
            keys[key.key_id] = replace(key, **more)
        self.headers[name] = f"Bearer {text}"
        if valid:
            self.granted[name] = scopes

    def expected(self, name: str, needed: Scope | None, *, anonymous: bool) -> int:
        """The refusal of a request, or 0."""
        if needed is PUBLIC:
            return 0
        if name == "none":
            return 0 if anonymous and needed in ANONYMOUS_SCOPES else 401
        if name not in self.granted:
            return 401
        return 0 if needed in self.granted[name] else 403


@pytest.fixture(scope="module")
def credentials(tmp_path_factory: pytest.TempPathFactory) -> Credentials:
    return Credentials(tmp_path_factory.mktemp("census"))


SERVICES = [service for service in ROUTES if service != "inference"]


@pytest.mark.parametrize("anonymous", [False, True])
@pytest.mark.parametrize("service", SERVICES)
def test_every_route_with_every_credential(service: str, anonymous: bool, credentials: Credentials) -> None:
    paths = {
        (method, template.replace("{", "x").replace("}", "")): needed
        for (method, template), needed in ROUTES[service].items()
    }
    assert wrong_answers(service, anonymous, credentials, paths) == {}


# What is no route: whoever may not even read learns nothing about which paths exist.
NO_ROUTES = (
    *(
        ("GET", "/nothing"),
        ("GET", "/models/x/what-if"),
        ("GET", "//status"),
        ("GET", "/docs"),
        ("GET", "/redoc"),
    ),
    *(
        ("DELETE", "/status"),
        ("OPTIONS", "/status"),
        ("PATCH", "/models/x/rollback"),
        ("POST", "/health/live"),
    ),
    *(("PUT", "/metrics"), ("TRACE", "/"), ("BREW", "/triggers")),
)


@pytest.mark.parametrize("anonymous", [False, True])
@pytest.mark.parametrize("service", SERVICES)
def test_what_is_no_route_needs_read(service: str, anonymous: bool, credentials: Credentials) -> None:
    assert not set(NO_ROUTES) & set(ROUTES[service])
    paths = dict.fromkeys(NO_ROUTES, Scope.READ)
    assert wrong_answers(service, anonymous, credentials, paths) == {}


def wrong_answers(
    service: str,
    anonymous: bool,
    credentials: Credentials,
    paths: Mapping[tuple[str, str], Scope | None],
) -> dict[tuple[str, str, str], tuple[int, int]]:
    """Status and expected refusal of each request, by path and state of credentials, that is let in or refused wrongly."""
    app = app_of(service, Authenticator(credentials.file, anonymous=anonymous))
    wrong = {}
    for (method, path), needed in paths.items():
        for name, status in ask(app, method, path, credentials.headers).items():
            # A link that logs in is always somebody's.
            is_open = anonymous and path != "/login/codes"
            expected = credentials.expected(name, needed, anonymous=is_open)
            refused = status if status in (401, 403) else 0
            # Pages of the console lead a person to the login.
            if service == "console" and expected == 401 and status == 303:
                refused = 401
            if refused != expected:
                wrong[method, path, name] = (status, expected)
    return wrong


def ask(app: Any, method: str, path: str, headers: Mapping[str, str | None]) -> dict[str, int]:
    """The status for each header."""

    async def send() -> dict[str, int]:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            found = {}
            for name, value in headers.items():
                given = {} if value is None else {"Authorization": value}
                given |= {"X-Homeostat-Console": "1", "Content-Type": "application/json"}
                found[name] = (await client.request(method, path, headers=given, content=b"{}")).status_code
            return found

    return asyncio.run(send())


@pytest.mark.parametrize("service", ["drift", "retraining", "console"])
def test_every_route_of_the_table_exists(service: str, credentials: Credentials) -> None:
    """The other direction is checked when a service starts."""
    app: FastAPI = app_of(service, Authenticator(credentials.file, anonymous=True))
    everything = {"everything": credentials.headers["everything"]}
    missing = {
        (method, template)
        for method, template in ROUTES[service]
        if ask(app, method, template.replace("{", "x").replace("}", ""), everything)["everything"]
        in (404, 405)
    }
    assert missing == set()


def test_public_routes_are_these() -> None:
    public = {path for routes in ROUTES.values() for (_, path), scope in routes.items() if scope is PUBLIC}
    health = {"/health/live", "/health/ready", "/livez", "/healthz", "/readyz", "/ping", "/health"}
    login = {"/login", "/login/oidc", "/login/callback", "/logout"}
    assert public == health | login | {"/v2/health/live", "/v2/health/ready"}
