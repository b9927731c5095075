"""A `/metrics` and `/health` door for services that have no HTTP server of their own (shipper, sink)."""

from __future__ import annotations

from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import urlsplit

import orjson
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from shared.errors import OperatorError


class MetricsServer:
    """Serves `registry` on host:port in a thread; `status` is asked for the body of `/status` (a mapping with `ready`)."""

    def __init__(
        self, registry: CollectorRegistry, host: str, port: int, status: Callable[[], dict[str, object]]
    ) -> None:
        handler = _handler(registry, status)
        try:
            self._server = ThreadingHTTPServer((host, port), handler)
        except OSError as error:
            raise OperatorError(
                f"port {port} on {host} cannot be opened: {error.strerror}",
                hint="end what uses the port, or set another one",
            ) from error
        self._server.daemon_threads = True
        self._thread = Thread(target=self._server.serve_forever, name="metrics-door", daemon=True)

    @property
    def port(self) -> int:
        """The port really opened (of use when 0 was asked for)."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Stop answering and free the port."""
        if self._thread.is_alive():  # `shutdown` waits for ever for a loop that never ran
            self._server.shutdown()
            self._thread.join(timeout=5)
        self._server.server_close()


def _handler(
    registry: CollectorRegistry, status: Callable[[], dict[str, object]]
) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            if path == "/metrics":
                self._answer(200, CONTENT_TYPE_PLAIN_0_0_4, generate_latest(registry))
            elif path in ("/health/live", "/health/ready", "/status"):
                body = status()
                ready = path != "/health/ready" or bool(body.get("ready"))
                self._answer(200 if ready else 503, "application/json", orjson.dumps(body))
            else:
                self._answer(
                    404, "application/json", b'{"error": "not found: try /metrics, /status or /health/ready"}'
                )

        def _answer(self, code: int, content_type: str, body: bytes) -> None:
            self.send_response(code)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Scrapes are not news."""

    return Handler
