"""Clients that begin a request and never end it."""

from __future__ import annotations

import selectors
import socket
import ssl
import time
from types import TracebackType

from tests.fakes.tls_client import client_hello

# What each sends in turn: nothing, a part of the headers, all headers and a part of the body.
BEGINNINGS = (
    b"",
    b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-",
    b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 400\r\n\r\n"
    b'{"model":"toy","rows":[',
)


class HalfOpen:
    """So many connections with half a request each, until the end of the block; with TLS, half a handshake."""

    def __init__(self, port: int, connections: int, *, tls: bool = False) -> None:
        self._beginnings = BEGINNINGS
        if tls:
            hello = client_hello(ssl.create_default_context())
            self._beginnings = (b"", hello[:60], hello)
        self._port = port
        self._connections = connections
        self._selector = selectors.DefaultSelector()
        self._open: set[socket.socket] = set()
        self.answers: dict[bytes, int] = {}  # the beginning of what was received, and how often

    def __enter__(self) -> HalfOpen:
        for number in range(self._connections):
            client = socket.create_connection(("127.0.0.1", self._port), timeout=60)
            client.sendall(self._beginnings[number % len(self._beginnings)])
            client.setblocking(False)
            self._selector.register(client, selectors.EVENT_READ)
            self._open.add(client)
        return self

    def wait_closed(self, seconds: float) -> int:
        """Wait until the server has closed all of them; how many it has not closed in time."""
        end = time.monotonic() + seconds
        while self._open and (left := end - time.monotonic()) > 0:
            for key, _ in self._selector.select(left):
                self._read(key.fileobj)  # type: ignore[arg-type]
        return len(self._open)

    def _read(self, client: socket.socket) -> None:
        try:
            data = client.recv(4096)
        except ConnectionResetError:
            data = b""
        if data:
            status = data.split(b"\r\n", 1)[0]
            self.answers[status] = self.answers.get(status, 0) + 1
            return
        self._selector.unregister(client)
        self._open.discard(client)
        client.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self._open:
            client.close()
        self._selector.close()
