"""The HTTP server of every service but inference: uvicorn with limits for its connections."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import Any, cast

import uvicorn

from shared.errors import OperatorError
from shared.http.connections import Connections, Limits
from shared.http.handshakes.limited_handshake import limited_handshake
from shared.http.limited_protocol import limited
from shared.http.open_files import raise_file_limit
from shared.tls.server_certificate import ServerCertificate

_KERNEL_BACKLOG = 512
# Until the next `Date` header, which has whole seconds. uvicorn looks ten times as often.
_TICK_SECONDS = 1.0


class HttpServer(uvicorn.Server):
    """Serves an ASGI application on one listening socket; `run` returns after a signal, or when `should_exit` is set."""

    def __init__(
        self,
        app: Any,
        listener: socket.socket,
        *,
        limits: Limits | None = None,
        graceful_seconds: int | None = None,
        certificate: ServerCertificate | None = None,
        proxies: str = "",
    ) -> None:
        """`certificate`: the connections are encrypted with it; without one they are not. `proxies`: addresses and networks,
        comma separated, that may say in X-Forwarded-For who sends a request; by default nobody may, also on this machine."""
        self._listener = listener
        self._should_exit = False
        self._wake: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None
        limits = limits or Limits.for_files(raise_file_limit())
        connections = Connections(limits)
        http = limited(connections) if certificate is None else limited_handshake(connections, certificate)
        super().__init__(
            uvicorn.Config(
                app,
                http=cast(Any, http),
                ws="none",
                log_config=None,
                access_log=False,
                proxy_headers=bool(proxies),
                forwarded_allow_ips=proxies,
                backlog=limits.backlog,
                h11_max_incomplete_event_size=limits.header_bytes,
                timeout_graceful_shutdown=graceful_seconds,
            )
        )

    def serve_forever(self) -> None:
        """Serve until a signal or `should_exit`. uvicorn raises the signal again after it has stopped in order."""
        with suppress(KeyboardInterrupt):
            self.run(sockets=[self._listener])

    @property
    def should_exit(self) -> bool:
        """Whether it stops, or has stopped. Setting it ends the wait of the main loop, from any thread or signal handler."""
        return self._should_exit

    @should_exit.setter
    def should_exit(self, value: bool) -> None:
        self._should_exit = value
        if value and self._wake is not None:
            loop, event = self._wake
            with suppress(RuntimeError):  # the loop is closed: the server has stopped
                loop.call_soon_threadsafe(event.set)

    async def main_loop(self) -> None:
        """Renew the `Date` header every second until the server is to exit."""
        event = asyncio.Event()
        self._wake = (asyncio.get_running_loop(), event)
        while not await self.on_tick(0):  # 0: the count of ticks at which uvicorn renews the headers
            with suppress(TimeoutError):
                await asyncio.wait_for(event.wait(), _TICK_SECONDS)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start. The kernel may hold more connections than are accepted at once."""
        await super().startup(sockets)
        if self.started and not self.should_exit:
            self._listener.listen(_KERNEL_BACKLOG)


def open_listener(host: str, port: int, setting: str) -> socket.socket:
    """A listening socket. Raises OperatorError if the port is taken; `setting` names another one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_KERNEL_BACKLOG)
    except OSError as error:
        raise OperatorError(
            f"port {port} on {host} cannot be opened: {error.strerror}",
            hint=f"stop the process that uses the port, or set {setting}",
        ) from error
