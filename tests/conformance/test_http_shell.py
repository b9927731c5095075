"""Every HTTP server: the same error body, health routes and body limits; the same host check where there is one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Event
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import structlog
from prometheus_client import CollectorRegistry

from services.console.http.app import make_app as make_console
from services.console.http.routes import Dependencies as ConsoleDependencies
from services.console.metrics import ConsoleMetrics
from services.drift.http.app import make_app as make_drift
from services.drift.http.routes import Dependencies as DriftDependencies
from services.inference.metrics import InferenceMetrics
from services.inference.routes import assemble
from services.inference.settings import InferenceSettings
from services.retraining.http.app import make_app as make_retraining
from services.retraining.http.routes import RouteDependencies as RetrainingDependencies
from services.retraining.metrics import RetrainingMetrics
from shared.errors import DependencyUnavailable
from shared.http.errors import UNKNOWN_ERROR
from shared.http.host_check import AllowedHosts
from shared.http.metrics_server import MetricsServer
from tests.fakes.callers import Everyone
from tests.fakes.console_logins import console_logins

HOSTS = AllowedHosts.of("127.0.0.1", "", "HOMEOSTAT_TEST_NAMES")
LIMIT = 64 << 10
JSON = {"content-type": "application/json"}


class Failing:
    """A dependency of which every use raises `error`."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error or ZeroDivisionError("secret")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise self.error

    def __call__(self) -> Any:
        raise self.error

    def start(self) -> None: ...

    def stop(self) -> None: ...


@dataclass(frozen=True)
class Server:
    """A server under test. `read` is a GET that uses a dependency; `post` a route with a JSON body, or empty."""

    send: Callable[..., httpx.Response]
    read: str
    post: str = ""
    checks_hosts: bool = True
    headers: Mapping[str, str] | None = None


def in_memory(app: Any) -> Callable[..., httpx.Response]:
    def send(method: str, path: str, **arguments: Any) -> httpx.Response:
        async def once() -> httpx.Response:
            transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                return await client.request(method, path, **arguments)

        return asyncio.run(once())

    return send


def inference(failing: Any) -> Iterator[Server]:
    metrics = InferenceMetrics(CollectorRegistry())
    settings = InferenceSettings(maximum_body_bytes=LIMIT)
    # Every POST reads the length of the queue.
    predictor: Any = SimpleNamespace(queue=SimpleNamespace(waiting=0))
    app = assemble(
        settings,
        failing,
        failing,
        predictor,
        failing,
        failing,
        metrics,
        failing,
        known_models=lambda: frozenset(),
    )
    yield Server(in_memory(app), "/status", "/predict", checks_hosts=False)


def drift(failing: Any) -> Iterator[Server]:
    now = datetime.now(UTC)
    dependencies = DriftDependencies(
        failing, failing, failing, failing, CollectorRegistry(), Event(), now, lambda: now, HOSTS, Everyone()
    )
    yield Server(in_memory(make_drift(dependencies)), "/verdicts", "/models/toy/evaluations")


def retraining(failing: Any) -> Iterator[Server]:
    dependencies = RetrainingDependencies(
        failing,
        failing,
        failing,
        failing,
        RetrainingMetrics(),
        failing,
        lambda: True,
        lambda: datetime.now(UTC),
        HOSTS,
        Everyone(),
        LIMIT,
        failing,
        failing,
        failing,
        failing,
        failing,
    )
    yield Server(in_memory(make_retraining(dependencies, failing)), "/decisions", "/models/toy/rollback")


def console(failing: Any) -> Iterator[Server]:
    async def close() -> None: ...

    app = make_console(
        ConsoleDependencies(
            failing,
            failing,
            failing,
            failing,
            failing,
            ConsoleMetrics(CollectorRegistry()),
            console_logins(Everyone()),
        ),
        HOSTS,
        close,
    )
    headers = {"x-homeostat-console": "1"}
    yield Server(in_memory(app), "/status.json", "/api/models/toy/rollback", headers=headers)


def metrics_server(failing: Any) -> Iterator[Server]:
    server = MetricsServer(
        CollectorRegistry(), "127.0.0.1", 0, failing, service="sink", authenticator=Everyone()
    )
    server.start()
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", trust_env=False) as client:
        yield Server(client.request, "/status", checks_hosts=False)
    server.stop()


SERVERS = (inference, drift, retraining, console, metrics_server)
Start = Callable[..., Server]


@pytest.fixture(params=SERVERS, ids=lambda server: server.__name__)
def start(request: pytest.FixtureRequest) -> Iterator[Start]:
    running: list[Iterator[Server]] = []

    def one(error: Exception | None = None) -> Server:
        running.append(request.param(Failing(error)))
        return next(running[-1])

    yield one
    for server in running:
        next(server, None)


@pytest.fixture
def server(start: Start) -> Server:
    return start()


def post(server: Server, content: bytes, **headers: str) -> httpx.Response:
    if not server.post:
        pytest.skip("this server takes no bodies")
    return server.send(
        "POST", server.post, content=content, headers={**JSON, **(server.headers or {}), **headers}
    )


def test_unknown_path(server: Server) -> None:
    response = server.send("GET", "/nothing")
    assert (response.status_code, response.json()) == (404, {"error": "there is no route /nothing"})
    assert response.headers["content-type"] == "application/json"


def test_wrong_method(server: Server) -> None:
    response = server.send("DELETE", server.read)
    error = f"method DELETE is not allowed for {server.read}"
    assert (response.status_code, response.json()) == (405, {"error": error})
    assert "GET" in response.headers["allow"]


def test_unknown_error_is_logged_and_not_shown(server: Server) -> None:
    with structlog.testing.capture_logs() as logs:
        response = server.send("GET", server.read)
    error_id = response.json()["error_id"]
    assert (response.status_code, response.json()) == (500, {"error": UNKNOWN_ERROR, "error_id": error_id})
    assert [line["error_id"] for line in logs if line["event"] == "unknown_error"] == [error_id]


def test_unavailable_dependency_has_hint_and_retry_after(start: Start) -> None:
    server = start(DependencyUnavailable("the lake cannot be read", hint="check the disk"))
    response = server.send("GET", server.read)
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert response.json() == {"error": "the lake cannot be read", "hint": "check the disk"}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"{not json", "the body is not JSON: "),
        (b'{"a": "\xff"}', "the body is not JSON: "),
        (b'{"a": NaN}', "the body is not JSON: "),
        (b"[1]", "the body is not a JSON object"),
    ],
)
def test_bad_json(server: Server, content: bytes, problem: str) -> None:
    response = post(server, content)
    assert (response.status_code, response.json()["field"]) == (400, "body")
    assert response.json()["error"].startswith(problem)


def test_too_large_body(server: Server) -> None:
    response = post(server, b" " * (LIMIT + 1))
    assert (response.status_code, response.json()["field"]) == (413, "body")
    assert response.json()["error"].startswith("the body is larger than ")


def test_other_content_type(server: Server) -> None:
    if not server.checks_hosts:
        pytest.skip("clients of the Open Inference Protocol send no content type")
    response = post(server, b"{}", **{"content-type": "text/plain"})
    assert (response.status_code, response.json()["field"]) == (415, "Content-Type")


def test_health(server: Server) -> None:
    response = server.send("GET", "/health/live")
    assert (response.status_code, response.json()) == (200, {"live": True})


@pytest.mark.parametrize("start", [drift, inference], indirect=True, ids=lambda server: server.__name__)
def test_not_ready(start: Start) -> None:
    server = start(DependencyUnavailable("no model is loaded"))
    assert server.send("GET", "/health/ready").status_code == 503


def test_foreign_host_is_refused(server: Server) -> None:
    if not server.checks_hosts:
        pytest.skip("this server answers under any name")
    response = server.send("GET", server.read, headers={"host": "evil.example"})
    assert (response.status_code, response.json()["error"]) == (
        421,
        "Host header evil.example is not allowed",
    )
    assert "HOMEOSTAT_TEST_NAMES" in response.json()["hint"]
    assert server.send("GET", "/health/live", headers={"host": "10.1.2.3"}).status_code == 200


def test_cross_site_post_is_refused(server: Server) -> None:
    if not server.checks_hosts:
        pytest.skip("this server has no route that a page could misuse")
    for headers in ({"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}):
        assert post(server, b"{}", **headers).status_code == 403
