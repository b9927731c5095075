"""The in-memory inference server behind a real socket: uvicorn with our protocol, the fast path on or off."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Sequence
from typing import Any

import uvicorn

from services.inference.fast_path.hot_requests import HotRequests
from services.inference.fast_path.protocol import STATE
from services.inference.http.refusals import Refusals
from services.inference.routes import make_fast_path
from shared.access.authenticator import Authenticator
from shared.access.route_table import RouteTable
from shared.http.access_check import AccessCheck
from tests.fakes.api_keys import ANYONE
from tests.fakes.inference_server import InferenceServer
from tests.fakes.toy_model import ToyStore
from tests.waiting import bound


class SocketServer(InferenceServer):
    """Serves in a thread of its own until `stop`."""

    def __init__(
        self,
        toys: ToyStore,
        *,
        fast: bool,
        keep_alive: int = 5,
        authenticator: Authenticator = ANYONE,
        address: str = "127.0.0.1",
        **settings: Any,
    ) -> None:
        super().__init__(toys, **settings)
        self._authenticator = authenticator
        self._checked = AccessCheck(
            self.app,
            routes=RouteTable.of("inference"),
            authenticator=authenticator,
            refuse=Refusals(self.metrics),
        )
        self.hot: HotRequests | None = None
        self.ordinary_requests: list[str] = []
        self._fast = fast
        self._listener = socket.create_server((address, 0))
        self.address: tuple[str, int] = self._listener.getsockname()
        config = uvicorn.Config(
            self._asgi,
            interface="asgi3",
            lifespan="on",
            http="services.inference.fast_path.protocol:FastProtocol",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=keep_alive,
        )
        self.uvicorn = uvicorn.Server(config)
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._started.wait(bound(30))

    def connect(self) -> socket.socket:
        client = socket.create_connection(self.address, timeout=20)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return client

    def exchange(self, *segments: bytes, answers: int = 1) -> list[bytes]:
        """Send the segments over one connection, each as its own packet; the answers, fewer if the server closes."""
        with self.connect() as client:
            for segment in segments:
                client.sendall(segment)
            return read_answers(client, answers)

    def stop(self) -> None:
        self.uvicorn.should_exit = True
        self._thread.join(30)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        self.uvicorn.run(sockets=[self._listener])

    async def _asgi(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            self.ordinary_requests.append(scope["path"])
            await self._checked(scope, receive, send)
            return
        await receive()
        if self._fast:
            self.hot = make_fast_path(
                self.settings,
                self.slots,
                self.predictor,
                self.metrics,
                self.tracing,
                authenticator=self._authenticator,
            )
            self.hot.start_sweeping()
            scope["state"][STATE] = self.hot
        await send({"type": "lifespan.startup.complete"})
        asyncio.get_running_loop().call_soon(self._started.set)
        await receive()
        await send({"type": "lifespan.shutdown.complete"})


def read_answers(client: socket.socket, count: int) -> list[bytes]:
    """Complete responses with a Content-Length, interim ones (100) included; fewer if the connection ends."""
    found: list[bytes] = []
    buffer = b""
    while len(found) < count:
        head, separator, rest = buffer.partition(b"\r\n\r\n")
        length = content_length(head) if separator else 0
        if separator and len(rest) >= length:
            found.append(head + separator + rest[:length])
            buffer = rest[length:]
            continue
        try:
            data = client.recv(1 << 20)
        except ConnectionResetError:
            break
        if not data:
            break
        buffer += data
    return found


def content_length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def request(
    path: str, body: bytes, headers: Sequence[tuple[str, str]] = (), *, method: str = "POST"
) -> bytes:
    """A request as it goes over the wire."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Content-Type: application/json"]
    if not any(name.lower() in ("content-length", "transfer-encoding") for name, _ in headers):
        lines.append(f"Content-Length: {len(body)}")
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
