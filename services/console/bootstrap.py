"""The one place that chooses the console's real parts."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime

import httpx
import uvicorn

from local_stack.settings import LocalStackSettings
from services.console.aggregation.aggregator import Aggregator
from services.console.aggregation.endpoints import Endpoints, find_endpoints
from services.console.aggregation.poller import Poller
from services.console.http.action_client import Actions
from services.console.http.app import make_app
from services.console.http.routes import Dependencies
from shared.errors import OperatorError
from shared.http.host_check import AllowedHosts


def build(settings: LocalStackSettings, where: Callable[[], Endpoints] | None = None) -> uvicorn.Server:
    """The console, not yet started. `where` the services are is looked up at every look, by default from the settings."""
    look_up = where or (lambda: find_endpoints(settings))
    # The services are our own: no proxy of the environment stands between.
    client = httpx.AsyncClient(trust_env=False, timeout=5.0, limits=httpx.Limits(max_connections=64))
    poller = Poller(client, _now, time.monotonic)
    dependencies = Dependencies(
        aggregator=Aggregator(poller, look_up, _now, time.monotonic),
        actions=Actions(client, lambda: look_up().retraining),
        client=client,
        drift=lambda: look_up().drift,
        actor_header=settings.console_actor_header.strip().lower(),
    )
    hosts = AllowedHosts.of(settings.console_host, settings.console_names, "HOMEOSTAT_CONSOLE_NAMES")
    app = make_app(dependencies, hosts, poller.close)
    return uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=3))


def open_door(settings: LocalStackSettings) -> socket.socket:
    """The console's socket. Raises OperatorError where its port cannot be had."""
    host, port = settings.console_host, settings.console_port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=64)
    except OSError as error:
        raise OperatorError(
            f"port {port} on {host} cannot be opened: {error.strerror}",
            hint="end what uses the port, or set HOMEOSTAT_CONSOLE_PORT",
        ) from error


def serve(server: uvicorn.Server, door: socket.socket) -> None:
    """Answer until told to stop."""
    server.run(sockets=[door])


def _now() -> datetime:
    return datetime.now(UTC)
