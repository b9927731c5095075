"""An HTTP server for metrics and health, for services that have no other routes (shipper, sink)."""

from __future__ import annotations

from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import orjson
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from shared.errors import OperatorError
from shared.http import health
from shared.http.errors import ErrorResponse, error_response, no_route, wrong_method
from shared.observability.logs import get_logger

_log = get_logger(__name__)


class MetricsServer:
    """Serves `registry` on host:port in a thread. `status` returns the body of `/status`; its `ready` is used for readiness."""

    def __init__(
        self, registry: CollectorRegistry, host: str, port: int, status: Callable[[], dict[str, object]]
    ) -> None:
        handler = _handler(registry, status)
        try:
            self._server = ThreadingHTTPServer((host, port), handler)
        except OSError as error:
            raise OperatorError(
                f"port {port} on {host} cannot be opened: {error.strerror}",
                hint="stop the process that uses the port, or set another port",
            ) from error
        self._server.daemon_threads = True
        self._thread = Thread(target=self._server.serve_forever, name="metrics-server", daemon=True)

    @property
    def port(self) -> int:
        """The port in use; differs from the one requested if that was 0."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Start serving."""
        self._thread.start()

    def stop(self) -> None:
        """Stop serving and close the port."""
        if self._thread.is_alive():  # `shutdown` blocks for ever if the loop never ran
            self._server.shutdown()
            self._thread.join(timeout=5)
        self._server.server_close()


def _handler(
    registry: CollectorRegistry, status: Callable[[], dict[str, object]]
) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            try:
                self._route(path)
            except Exception as error:
                self._send_error(error_response(error, _log, path=path))

        def _route(self, path: str) -> None:
            if path == "/metrics":
                self._send(200, CONTENT_TYPE_PLAIN_0_0_4, generate_latest(registry), {})
            elif path == "/health/live":
                self._send_json(health.live())
            elif path == "/health/ready":
                self._send_json(*health.ready(bool(status().get("ready"))))
            elif path == "/status":
                self._send_json(status())
            else:
                self._send_error(no_route(path))

        do_HEAD = do_GET

        def _refuse(self) -> None:
            path = urlsplit(self.path).path
            known = path in ("/metrics", "/health/live", "/health/ready", "/status")
            self._send_error(wrong_method(self.command, path) if known else no_route(path))

        do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _refuse

        def _send_error(self, made: ErrorResponse) -> None:
            allow = {"Allow": "GET, HEAD"} if made.status == 405 else {}
            self._send(made.status, "application/json", made.body, made.headers | allow)

        def _send_json(self, body: dict[str, Any], code: int = 200) -> None:
            self._send(code, "application/json", orjson.dumps(body), {})

        def _send(self, code: int, content_type: str, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(code)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Do not log scrapes."""

    return Handler
