"""Connections of the fast path on real sockets: limits, deadlines, order of answers, and the end of the server."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from shared.access.scope import Scope
from tests.fakes.api_keys import ApiKeys
from tests.fakes.socket_server import SocketServer, read_answers, request
from tests.fakes.tensor_model import release_tensor
from tests.fakes.toy_model import ROW, ToyStore
from tests.waiting import bound, eventually

INFER = request(
    "/v2/models/sums/infer",
    json.dumps(
        {"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [1.5, 2, 3, 4]}]}
    ).encode(),
)
PREDICT = request("/predict", json.dumps({"model": "toy", "rows": [ROW]}).encode())


@pytest.fixture
def servers(toys: ToyStore) -> Iterator[list[SocketServer]]:
    toys.put_and_release(0.5)
    release_tensor(toys)
    started: list[SocketServer] = []
    yield started
    for server in started:
        server.stop()


@pytest.fixture
def server(toys: ToyStore, servers: list[SocketServer]) -> SocketServer:
    servers.append(SocketServer(toys, fast=True, keep_alive=1, receive_seconds=0.8, maximum_body_bytes=5000))
    return servers[0]


def warm(server: SocketServer) -> socket.socket:
    """A connection whose headers are known."""
    client = server.connect()
    for asked in (INFER, PREDICT):
        for _ in range(2):
            client.sendall(asked)
            assert read_answers(client, 1)[0].startswith(b"HTTP/1.1 200 ")
    server.ordinary_requests.clear()
    return client


def test_layouts_are_shared_by_connections(server: SocketServer) -> None:
    warm(server).close()
    assert server.exchange(INFER)[0].startswith(b"HTTP/1.1 200 ")
    assert server.ordinary_requests == []


def test_lengths_and_paths_that_change_on_a_connection_are_read_anew(server: SocketServer) -> None:
    client = warm(server)
    longer = request(
        "/v2/models/sums/infer",
        json.dumps(
            {"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [10.25, 2, 3, 4]}]}
        ).encode(),
    )
    for asked, score in (
        (INFER, b"[10.5]"),
        (longer, b"[19.25]"),
        (PREDICT, b'"score":0.5'),
        (INFER, b"[10.5]"),
    ):
        client.sendall(asked)
        (answer,) = read_answers(client, 1)
        assert score in answer, answer
    assert server.ordinary_requests == []


def test_requests_are_counted_once(server: SocketServer) -> None:
    client = warm(server)
    client.sendall(PREDICT)
    read_answers(client, 1)
    labels = {"model": "toy", "outcome": "answered"}
    version = server.slots.peek("toy").version_short  # type: ignore[union-attr]
    assert server.sample("homeostat_inference_request_duration_seconds_count", version=version, **labels) == 3
    assert server.sample("homeostat_inference_rows_total", model="toy", version=version) == 3
    assert server.sample("homeostat_inference_requests_in_flight") == 0
    assert all(servable.in_flight == 0 for servable in server.slots.current())


def test_replaced_version_drains(server: SocketServer, toys: ToyStore) -> None:
    client = warm(server)
    old = server.slots.peek("toy")
    toys.put_and_release(2.0)
    server.poller.poll()
    client.sendall(PREDICT)
    assert b'"score":2.0' in read_answers(client, 1)[0]
    assert old is not None
    assert (old.retired, old.in_flight) == (True, 0)
    assert server.ordinary_requests == []


def test_slow_model_goes_to_a_thread(server: SocketServer) -> None:
    client = warm(server)
    servable = server.slots.peek("sums")
    assert servable is not None
    servable.seconds = lambda rows: 1.0  # type: ignore[method-assign]
    client.sendall(INFER)
    assert read_answers(client, 1)[0].startswith(b"HTTP/1.1 200 ")
    assert server.ordinary_requests == ["/v2/models/sums/infer"]


def test_long_queue_is_refused_by_the_ordinary_path(server: SocketServer) -> None:
    client = warm(server)
    server.predictor.queue.expected_seconds = lambda: 60.0  # type: ignore[method-assign]
    client.sendall(INFER)
    answer = read_answers(client, 1)[0].lower()
    assert answer.startswith(b"http/1.1 503 ")
    assert b"\r\nretry-after: 1\r\n" in answer


def test_body_in_pieces_is_answered_by_the_fast_path(server: SocketServer) -> None:
    client = warm(server)
    head = INFER.index(b"\r\n\r\n") + 4
    for piece in (INFER[: head + 10], INFER[head + 10 : head + 20], INFER[head + 20 :]):
        client.sendall(piece)
        time.sleep(0.01)
    assert read_answers(client, 1)[0].startswith(b"HTTP/1.1 200 ")
    assert server.ordinary_requests == []
    assert server.hot is not None
    assert server.hot.buffered == 0


def test_slow_body_times_out(server: SocketServer) -> None:
    client = warm(server)
    start = time.monotonic()
    client.sendall(INFER[:-5])
    assert read_answers(client, 1)[0].startswith(b"HTTP/1.1 408 ")
    assert time.monotonic() - start < bound(5)
    assert server.hot is not None
    assert server.hot.buffered == 0


def test_body_of_a_revoked_key_takes_no_room(
    toys: ToyStore, servers: list[SocketServer], tmp_path: Path
) -> None:
    """Not for one that begins, and no more for one that has begun."""
    keys = ApiKeys(tmp_path / "api_keys.json")
    key = keys.make("leaver", Scope.PREDICT)
    server = SocketServer(toys, fast=True, receive_seconds=600, authenticator=keys.authenticator())
    servers.append(server)
    asked = request(
        "/v2/models/sums/infer", INFER[INFER.index(b"\r\n\r\n") + 4 :], [("Authorization", f"Bearer {key}")]
    )
    first, second = server.connect(), server.connect()
    for client in (first, second):
        for _ in range(2):
            client.sendall(asked)
            assert read_answers(client, 1)[0].startswith(b"HTTP/1.1 200 ")
    hot = server.hot
    assert hot is not None
    first.sendall(asked[:-5])
    wait_until(lambda: hot.buffered > 0)
    keys.revoke("leaver")
    assert read_answers(first, 1)[0].startswith(b"HTTP/1.1 401 ")
    assert hot.buffered == 0
    hot.connections.clear()  # no sweep comes to help
    second.sendall(asked[:-5])
    assert read_answers(second, 1)[0].startswith(b"HTTP/1.1 401 ")
    assert hot.buffered == 0


def test_body_on_the_ordinary_path_is_cut_when_its_key_is_revoked(
    toys: ToyStore, servers: list[SocketServer], tmp_path: Path
) -> None:
    keys = ApiKeys(tmp_path / "api_keys.json")
    key = keys.make("leaver", Scope.PREDICT)
    server = SocketServer(toys, fast=False, receive_seconds=600, authenticator=keys.authenticator())
    servers.append(server)
    client = server.connect()
    client.sendall(request("/predict", b"x" * 100, [("Authorization", f"Bearer {key}")])[:-5])
    wait_until(lambda: server.ordinary_requests == ["/predict"])
    keys.revoke("leaver")
    assert read_answers(client, 1)[0].startswith(b"HTTP/1.1 401 ")


def test_client_that_leaves_frees_its_body(server: SocketServer) -> None:
    client = warm(server)
    client.sendall(INFER[:-5])
    hot = server.hot
    assert hot is not None
    wait_until(lambda: hot.buffered > 0)
    client.close()
    wait_until(lambda: hot.buffered == 0 and not hot.connections)


def test_unfinished_bodies_have_a_limit(toys: ToyStore, servers: list[SocketServer]) -> None:
    server = SocketServer(toys, fast=True, receive_seconds=600)
    servers.append(server)
    client = warm(server)
    assert server.hot is not None
    server.hot.maximum_buffered_bytes = 10
    client.sendall(INFER[:-5])
    wait_until(lambda: server.ordinary_requests == ["/v2/models/sums/infer"])
    client.sendall(INFER[-5:])
    assert read_answers(client, 1)[0].startswith(b"HTTP/1.1 200 ")


def test_idle_connection_is_closed(server: SocketServer) -> None:
    client = warm(server)
    client.settimeout(bound(10))
    assert client.recv(1) == b""


def test_request_that_came_during_a_standstill_is_answered(server: SocketServer) -> None:
    """The timer is over, and the request is there too but was not read yet."""
    client = warm(server)
    assert server.hot is not None
    [connection] = server.hot.connections

    def wake_up() -> None:
        connection.timeout_keep_alive_handler()  # type: ignore[attr-defined]
        connection.data_received(INFER)  # type: ignore[attr-defined]

    connection.loop.call_soon_threadsafe(wake_up)  # type: ignore[attr-defined]
    assert read_answers(client, 1)[0].startswith(b"HTTP/1.1 200 ")
    client.sendall(INFER)
    assert read_answers(client, 1)[0].startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("sent", "received"),
    [(b"", b""), (INFER[:30], b"HTTP/1.1 408 "), (INFER + INFER[:30], b"HTTP/1.1 200 ")],
)
def test_connection_without_whole_headers_is_closed(
    server: SocketServer, sent: bytes, received: bytes
) -> None:
    """Also one on which nothing is sent; after an answer the deadline counts from the first byte of the next request."""
    client = server.connect()
    client.settimeout(bound(10))
    client.sendall(sent)
    answer = b""
    while data := client.recv(65536):
        answer += data
    assert answer.startswith(received)
    assert answer.count(b"HTTP/1.1 408 ") == (len(sent) % len(INFER) > 0)


def test_pipelined_answers_keep_their_order(server: SocketServer) -> None:
    client = warm(server)
    bad = request("/predict", b"{")
    live = request("/health/live", b"", method="GET")
    client.sendall(INFER + PREDICT + bad + INFER + live + PREDICT)
    answers = read_answers(client, 6)
    kinds = [b"sums", b"toy", b"not JSON", b"sums", b"live", b"toy"]
    assert [kind in answer for kind, answer in zip(kinds, answers, strict=True)] == [True] * 6


def test_long_bodies_that_are_put_aside_are_answered_in_order(
    toys: ToyStore, servers: list[SocketServer]
) -> None:
    server = SocketServer(toys, fast=True)
    servers.append(server)
    clients = [warm(server) for _ in range(4)]
    assert server.hot is not None
    server.hot.reading.seconds = 0.0  # one body in each iteration
    long = request("/predict", json.dumps({"model": "toy", "rows": [ROW] * 40 + [{"count": 1}]}).encode())
    rows = request("/predict", json.dumps({"model": "toy", "rows": [ROW] * 50}).encode() + b" " * 4096)
    for client in clients:
        client.sendall(rows + INFER + long + rows)
    for client in clients:
        answers = read_answers(client, 4)
        assert [answer[9:12] for answer in answers] == [b"200", b"200", b"422", b"200"]
        assert [answer.count(b"prediction_id") for answer in answers] == [50, 1, 0, 50]


def test_client_that_leaves_is_not_read(toys: ToyStore, servers: list[SocketServer]) -> None:
    server = SocketServer(toys, fast=True)
    servers.append(server)
    client = warm(server)
    logged = len(server.spool.predictions)
    hot = server.hot
    assert hot is not None
    put_aside: list[Any] = []
    hot.reading.submit = put_aside.append  # type: ignore[method-assign,assignment]
    client.sendall(
        request("/predict", json.dumps({"model": "toy", "rows": [ROW] * 50}).encode() + b" " * 4096)
    )
    eventually(lambda: bool(put_aside), "the body is put aside")
    client.close()
    eventually(lambda: not hot.connections, "the connection has ended")
    put_aside[0]()
    assert len(server.spool.predictions) == logged


def test_end_of_the_server_loses_no_request(server: SocketServer) -> None:
    """Every request that a client has sent is answered, the last one of a connection with `Connection: close`."""
    ended = Ended(server, 16)
    ended.stop_under_load()
    assert ended.lost == []
    assert len(ended.closed_by_server) == 16


def test_end_of_the_server_closes_idle_connections(server: SocketServer) -> None:
    clients = [warm(server) for _ in range(3)]
    start = time.monotonic()
    server.stop()
    assert time.monotonic() - start < bound(3)
    assert [client.recv(1) for client in clients] == [b""] * 3


def test_write_that_is_paused_goes_the_ordinary_way(server: SocketServer) -> None:
    client = warm(server)
    assert server.hot is not None
    (connection,) = server.hot.connections
    connection.flow.write_paused = True  # type: ignore[attr-defined]
    client.sendall(INFER)
    wait_until(lambda: server.ordinary_requests == ["/v2/models/sums/infer"])
    connection.flow.resume_writing()  # type: ignore[attr-defined]
    assert read_answers(client, 1)[0].startswith(b"HTTP/1.1 200 ")


class Ended:
    """Clients that never rest while a server stops."""

    def __init__(self, server: SocketServer, clients: int) -> None:
        self.lost: list[str] = []
        self.closed_by_server: list[int] = []
        self._server = server
        self._clients = [threading.Thread(target=self._ask, args=(number,)) for number in range(clients)]

    def stop_under_load(self) -> None:
        for client in self._clients:
            client.start()
        time.sleep(0.5)
        self._server.stop()
        for client in self._clients:
            client.join(20)

    def _ask(self, number: int) -> None:
        with self._server.connect() as client:
            while True:
                try:
                    client.sendall(INFER if number % 2 else PREDICT)
                    answers = read_answers(client, 1)
                except OSError as error:
                    self.lost.append(repr(error))
                    return
                if not answers:
                    self.lost.append("closed without an answer")
                    return
                if b"connection: close" in answers[0].lower():
                    self.closed_by_server.append(number)
                    return


def wait_until(true: object) -> None:
    end = time.monotonic() + bound(10)
    while not true():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.01)


def test_headers_have_a_size(server: SocketServer) -> None:
    client = server.connect()
    client.settimeout(bound(10))
    sent = 0
    with suppress(BrokenPipeError, ConnectionResetError):
        client.sendall(b"GET /health/live HTTP/1.1\r\nHost: a\r\n")
        while sent < 8 << 20:
            client.sendall(b"X-A: " + b"a" * 1000 + b"\r\n")
            sent += 1007
    assert sent < 4 << 20


@pytest.mark.parametrize("size", [40_000, 60_000])
def test_headers_below_the_limit_are_answered(server: SocketServer, size: int) -> None:
    client = server.connect()
    client.sendall(b"GET /health/live HTTP/1.1\r\n")
    for _ in range(3):
        client.sendall(b"X-A: " + b"a" * (size // 3) + b"\r\n")
        time.sleep(0.02)
    client.sendall(b"Host: a\r\n\r\n")
    assert read_answers(client, 1)[0].startswith(b"HTTP/1.1 200 ")
    client.sendall(b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n")
    assert read_answers(client, 1)[0].startswith(b"HTTP/1.1 200 "), "the count starts again"


def test_silent_connections_give_way(toys: ToyStore, servers: list[SocketServer]) -> None:
    server = SocketServer(toys, fast=True, receive_seconds=600)
    servers.append(server)
    honest = warm(server)
    assert server.hot is not None
    hot = server.hot
    hot.maximum_connections = 5
    silent = [server.connect() for _ in range(20)]
    for client in silent[::2]:
        client.sendall(INFER[:30])
    # Its connection is accepted after all of them.
    assert server.exchange(INFER)[0].startswith(b"HTTP/1.1 200 ")
    assert len(hot.connections) <= 5
    honest.sendall(INFER)
    assert read_answers(honest, 1)[0].startswith(b"HTTP/1.1 200 "), "a client that was answered is kept"
    for client in silent:
        client.close()


def test_client_that_sends_no_more_causes_no_error(
    server: SocketServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Its connection is closed while the application answers."""
    for path in ("/v2/models/toy", "/status", "/health/live"):
        for _ in range(10):
            with server.connect() as client:
                client.sendall(request(path, b"", method="GET"))
                client.shutdown(socket.SHUT_WR)
                while client.recv(1 << 16):
                    pass
    assert "Exception in ASGI application" not in caplog.text


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("end", [b"no HTTP\r\n\r\n", b""], ids=["malformed", "gone"])
def test_connection_that_ends_while_pipelined_requests_are_answered_causes_no_error(
    toys: ToyStore,
    servers: list[SocketServer],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    end: bytes,
    fast: bool,
) -> None:
    """The application answers the first request and does not know yet; uvicorn tells only the last one."""
    server = SocketServer(toys, fast=fast)
    servers.append(server)
    answered: list[int] = []

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0.05)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})
        answered.append(200)

    monkeypatch.setattr(server, "_checked", slow)
    asked = request("/status.json", b"", method="GET")
    with server.connect() as client:
        client.sendall(asked + asked + end)
        if end:
            assert [answer.split(b" ")[1] for answer in read_answers(client, 3)] == [b"400"]
    eventually(lambda: answered, "the application has answered", within_s=10)
    assert server.exchange(asked)[0].startswith(b"HTTP/1.1 200 ")
    assert "Exception in ASGI application" not in caplog.text


def test_malformed_body_is_answered_once(server: SocketServer, caplog: pytest.LogCaptureFixture) -> None:
    """The application answers although the rest of its request has turned out to be malformed."""
    head = b"GET /status HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    for _ in range(10):
        assert server.exchange(head + b"1\r\na\r\nzz\r\n", answers=2)[0].startswith(b"HTTP/1.1 400")
    assert "Exception in ASGI application" not in caplog.text
