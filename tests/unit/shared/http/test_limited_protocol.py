"""The limits of connections, over real sockets; the numbers are small."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from threading import Thread
from typing import Any

import pytest

from shared.http.connections import Limits
from shared.http.server import HttpServer, open_listener
from tests.waiting import bound, eventually

LIMITS = Limits(connections=4, backlog=8, receive_seconds=0.5, write_seconds=0.5)
GET = b"GET / HTTP/1.1\r\nHost: a\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n"
LARGE = b"x" * (8 << 20)


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Reads the body, then answers with its length, or eight megabytes; `/at-once` does not read it."""
    if scope["type"] != "http":
        return
    size, more = 0, scope["path"] != "/at-once"
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    body = LARGE if scope["path"] == "/large" else b"%d" % size
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
def limits() -> Limits:
    return LIMITS


@pytest.fixture
def port(limits: Limits) -> Iterator[int]:
    listener = open_listener("127.0.0.1", 0, "another port")
    server = HttpServer(app, listener, limits=limits, graceful_seconds=1)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield int(listener.getsockname()[1])
    server.should_exit = True
    thread.join(bound(10))


def connect(port: int, data: bytes = b"") -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), timeout=bound(10))
    client.sendall(data)
    return client


def received(client: socket.socket) -> bytes:
    """Everything until the server closes."""
    found = bytearray()
    with suppress(ConnectionResetError):
        while data := client.recv(65_536):
            found += data
    client.close()
    return bytes(found)


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (b"", b""),
        (b"GET / HT", b"HTTP/1.1 408"),
        (GET + b"X-A: 1", b"HTTP/1.1 408"),
        (POST + b"12345", b"HTTP/1.1 408"),
        (GET + b"\r\n" + b"GET / HT", b"HTTP/1.1 200"),
    ],
    ids=["nothing", "half a line", "half of the headers", "half a body", "half of the second request"],
)
def test_unfinished_request_is_cut(port: int, sent: bytes, answer: bytes) -> None:
    begun = time.monotonic()
    found = received(connect(port, sent))
    assert found.startswith(answer)
    assert 0.3 < time.monotonic() - begun < bound(5)


def test_bytes_that_trickle_do_not_move_the_deadline(port: int) -> None:
    client = connect(port, GET)
    begun = time.monotonic()
    with suppress(BrokenPipeError, ConnectionResetError):
        while time.monotonic() - begun < bound(10):
            client.sendall(b"X-A: 1\r\n")
            time.sleep(0.05)
    assert time.monotonic() - begun < bound(5)


def test_request_that_is_complete_has_no_deadline(port: int) -> None:
    client = connect(port, POST + b"0123456789")
    assert client.recv(1000).startswith(b"HTTP/1.1 200")
    time.sleep(0.2)
    client.sendall(POST + b"0123456789")
    assert client.recv(1000).startswith(b"HTTP/1.1 200"), "the connection is kept for the next request"
    client.close()


@pytest.mark.parametrize("limits", [replace(LIMITS, receive_seconds=30, header_bytes=64 << 10)])
def test_headers_have_a_size(port: int) -> None:
    client = connect(port, GET)
    sent = 0
    with suppress(OSError):
        while sent < 8 << 20:
            client.sendall(b"X-A: " + b"a" * 1000 + b"\r\n")
            sent += 1007
    assert sent < 4 << 20
    found = received(client)
    assert not found or found.startswith(b"HTTP/1.1 400")


def test_refusal_of_large_headers_reaches_a_client_that_sends_all_of_them_first(port: int) -> None:
    """As clients do: a connection that is closed with bytes unread is reset, and the answer is lost."""
    client = connect(port, b"GET /" + b"a" * 100_000)
    for part in (b"a" * 100_000, b"a" * 100_000, b" HTTP/1.1\r\nHost: a\r\n\r\n"):
        time.sleep(0.05)
        client.sendall(part)
    found = received(client)
    assert found.startswith(b"HTTP/1.1 400")
    assert found.endswith(b"\r\n\r\nInvalid HTTP request received.")


def test_client_that_does_not_read_is_cut(port: int) -> None:
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(bound(10))
    client.connect(("127.0.0.1", port))
    client.sendall(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
    time.sleep(1.5)
    assert len(received(client)) < len(LARGE)


@pytest.mark.parametrize("limits", [replace(LIMITS, receive_seconds=60)])
def test_silent_connections_give_way_to_requests(port: int) -> None:
    silent = [connect(port, b"GET / HT") for _ in range(40)]
    for _ in range(5):
        assert received(connect(port, GET + b"Connection: close\r\n\r\n")).startswith(b"HTTP/1.1 200")

    def left_open() -> int:
        count = 0
        for client in silent:
            client.setblocking(False)
            try:
                count += client.recv(1, socket.MSG_PEEK) != b""
            except BlockingIOError:
                count += 1
            except ConnectionResetError:
                pass
        return count

    eventually(lambda: left_open() <= LIMITS.connections, "the oldest are closed")
    for client in silent:
        client.close()


def test_malformed_body_is_answered_once(port: int, caplog: pytest.LogCaptureFixture) -> None:
    """The application answers although the rest of its request has turned out to be malformed."""
    head = b"POST /at-once HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    found = received(connect(port, head + b"1\r\na\r\nzz\r\n"))
    assert found.startswith(b"HTTP/1.1 400")
    assert found.count(b"HTTP/1.1") == 1
    assert "Exception in ASGI application" not in caplog.text
