"""An HTTP server for metrics and health, for services that have no other routes (shipper, sink)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from threading import Thread
from typing import Any

import orjson
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from shared.access.authenticator import Authenticator
from shared.access.route_table import RouteTable
from shared.http import health
from shared.http.access_check import AccessCheck
from shared.http.connections import Limits
from shared.http.errors import ErrorResponse, error_response, no_route, wrong_method
from shared.http.refused_access import RefusedAccess
from shared.http.server import HttpServer, open_listener
from shared.observability.logs import get_logger
from shared.tls.metrics import watch_certificate
from shared.tls.server_certificate import ServerCertificate

_log = get_logger(__name__)
_STOP_SECONDS = 5

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class MetricsServer:
    """Serves `registry` on host:port in a thread. `status` returns the body of `/status`; its `ready` is used for readiness."""

    def __init__(
        self,
        registry: CollectorRegistry,
        host: str,
        port: int,
        status: Callable[[], dict[str, object]],
        *,
        service: str,
        authenticator: Authenticator,
        limits: Limits | None = None,
        certificate: ServerCertificate | None = None,
    ) -> None:
        """Raises OperatorError if the port is taken. `certificate`: serves HTTPS, and its expiry is a metric."""
        watch_certificate(registry, certificate)
        self._listener = open_listener(host, port, "another port")
        app = AccessCheck(
            MetricsApp(registry, status),
            routes=RouteTable.of(service),
            authenticator=authenticator,
            refuse=Refusal,
            on_refused=RefusedAccess(registry).count,
        )
        self._server = HttpServer(
            app, self._listener, limits=limits, graceful_seconds=1, certificate=certificate
        )
        self._thread = Thread(target=self._server.serve_forever, name="metrics-server", daemon=True)
        self._port = int(self._listener.getsockname()[1])

    @property
    def port(self) -> int:
        """The port in use; differs from the one requested if that was 0."""
        return self._port

    def start(self) -> None:
        """Start serving."""
        self._thread.start()

    def stop(self) -> None:
        """Stop serving and close the port."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(timeout=_STOP_SECONDS)
        self._listener.close()


class MetricsApp:
    """The ASGI application. Its routes read memory only, so they run on the event loop."""

    def __init__(self, registry: CollectorRegistry, status: Callable[[], dict[str, object]]) -> None:
        self._registry = registry
        self._status = status

    async def __call__(self, scope: Scope, receive: Any, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        method, path = scope["method"], scope["path"]
        try:
            code, content_type, body, headers = self._respond(method, path)
        except Exception as error:
            code, content_type, body, headers = _error(error_response(error, _log, path=path))
        await _send(send, method, code, content_type, body, headers)

    def _respond(self, method: str, path: str) -> tuple[int, str, bytes, dict[str, str]]:
        if path not in ("/metrics", "/health/live", "/health/ready", "/status"):
            return _error(no_route(path))
        if method not in ("GET", "HEAD"):
            return _error(wrong_method(method, path))
        if path == "/metrics":
            return 200, CONTENT_TYPE_PLAIN_0_0_4, generate_latest(self._registry), {}
        if path == "/health/live":
            return _json(health.live())
        if path == "/health/ready":
            return _json(*health.ready(bool(self._status().get("ready"))))
        return _json(self._status())


class Refusal:
    """The ASGI application that responds with one error."""

    def __init__(self, error: Exception, path: str) -> None:
        self._made = error_response(error, _log, path=path)

    async def __call__(self, scope: Scope, receive: Any, send: Send) -> None:
        """ASGI."""
        await _send(send, scope["method"], *_error(self._made))


async def _send(
    send: Send, method: str, code: int, content_type: str, body: bytes, headers: dict[str, str]
) -> None:
    given = {"Content-Type": content_type, "Content-Length": str(len(body)), **headers}
    await send(
        {
            "type": "http.response.start",
            "status": code,
            "headers": [(name.lower().encode(), value.encode()) for name, value in given.items()],
        }
    )
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})


def _json(body: dict[str, Any], code: int = 200) -> tuple[int, str, bytes, dict[str, str]]:
    return code, "application/json", orjson.dumps(body), {}


def _error(made: ErrorResponse) -> tuple[int, str, bytes, dict[str, str]]:
    allow = {"Allow": "GET, HEAD"} if made.status == 405 else {}
    return made.status, "application/json", made.body, made.headers | allow


async def _live(receive: Any, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
