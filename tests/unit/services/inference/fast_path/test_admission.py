"""The fast path answers those who may predict, and nobody else: also after their header block is known."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.inference.fast_path.admission import Admission
from shared.access.scope import Scope
from tests.fakes.api_keys import ApiKeys
from tests.fakes.own_address import own_address
from tests.fakes.socket_server import SocketServer, read_answers, request
from tests.fakes.toy_model import ROW, ToyStore
from tests.waiting import bound

BODY = json.dumps({"model": "toy", "rows": [ROW]}).encode()
Serve = Callable[..., SocketServer]


@pytest.fixture
def keys(toys: ToyStore) -> ApiKeys:
    return ApiKeys(toys.home / "keys" / "api_keys.json")


@pytest.fixture
def serve(toys: ToyStore, keys: ApiKeys) -> Iterator[Serve]:
    toys.put_and_release(0.5)
    with ExitStack() as ending:

        def one(
            *,
            anonymous: bool = False,
            address: str = "127.0.0.1",
            monotonic: Callable[[], float] = time.monotonic,
            **settings: Any,
        ) -> SocketServer:
            authenticator = keys.authenticator(anonymous=anonymous, monotonic=monotonic)
            server = SocketServer(toys, fast=True, authenticator=authenticator, address=address, **settings)
            ending.callback(server.stop)
            return server

        yield one


def predict(key: str = "", *, name: str = "Authorization") -> bytes:
    return request("/predict", BODY, [(name, f"Bearer {key}")] if key else [])


class Client:
    """One connection; `hot`: whether its last request was answered by the fast path."""

    def __init__(self, server: SocketServer, host: str = "") -> None:
        self._server = server
        port = server.address[1]
        self._socket = socket.create_connection((host, port), 20) if host else server.connect()

    def ask(self, data: bytes) -> int:
        before = len(self._server.ordinary_requests)
        self._socket.sendall(data)
        (answer,) = read_answers(self._socket, 1)
        self.answer = answer
        self.hot = len(self._server.ordinary_requests) == before
        return int(answer.split(b" ", 2)[1])

    def warm(self, data: bytes) -> None:
        assert self.ask(data) == 200, self.answer
        assert self.ask(data) == 200
        assert self.hot


def test_key_is_answered_by_the_fast_path(serve: Serve, keys: ApiKeys) -> None:
    server, asked = serve(), predict(keys.make("ci", Scope.PREDICT))
    Client(server).warm(asked)
    other = Client(server)
    assert (other.ask(asked), other.hot) == (200, True)


def expire(keys: ApiKeys) -> None:
    keys.change("ci", expires_at=datetime.now(UTC))


@pytest.mark.parametrize(
    ("end", "status", "text"),
    [
        (lambda keys: keys.revoke("ci"), 401, b"was revoked"),
        (expire, 401, b"has expired"),
        (lambda keys: keys.change_secret("ci"), 401, b"is not known here"),
        (lambda keys: keys.change("ci", scopes=frozenset({Scope.READ})), 403, b"ci lacks the scope predict"),
    ],
    ids=["revoked", "expired", "secret", "scope"],
)
def test_known_header_block_of_an_ended_key_is_refused_within_a_second(
    serve: Serve, keys: ApiKeys, end: Callable[[ApiKeys], None], status: int, text: bytes
) -> None:
    server, asked = serve(anonymous=True), predict(keys.make("ci", Scope.PREDICT))
    client = Client(server)
    client.warm(asked)
    end(keys)
    ended = time.monotonic()
    while client.ask(asked) == 200 and time.monotonic() < ended + bound(10):
        time.sleep(0.02)
    assert time.monotonic() - ended < 1.5 + bound(0.5)
    for one in (client, Client(server)):
        assert (one.ask(asked), one.hot) == (status, False)
        assert text in one.answer


def test_key_that_expires_by_itself_is_refused_in_time(serve: Serve, keys: ApiKeys) -> None:
    expires_at = datetime.now(UTC) + timedelta(seconds=2.5)
    client, asked = Client(serve()), predict(keys.make("ci", Scope.PREDICT, expires_at=expires_at))
    client.warm(asked)
    while (status := client.ask(asked)) == 200 and datetime.now(UTC) < expires_at + timedelta(seconds=1):
        time.sleep(0.01)
    assert status == 401
    assert datetime.now(UTC) - expires_at < timedelta(seconds=0.1 + bound(0.1))


def test_other_keys_of_a_known_block_are_refused(serve: Serve, keys: ApiKeys) -> None:
    """On the same connection, and one that differs in a digit only: digits are left open to find a block."""
    server, key = serve(), keys.make("ci", Scope.PREDICT)
    client = Client(server)
    client.warm(predict(key))
    digit = next(place for place in range(len(key) - 1, 0, -1) if key[place].isdigit())
    changed = key[:digit] + str((int(key[digit]) + 1) % 10) + key[digit + 1 :]
    for wrong in (changed, key[:-1] + ("b" if key[-1] == "a" else "a")):
        assert (client.ask(predict(wrong)), client.hot) == (401, False)
        assert (client.ask(predict(key)), client.hot) == (200, True)
    assert (client.ask(predict()), client.hot) == (401, False)


@pytest.mark.parametrize("anonymous", [False, True])
def test_request_without_credentials(serve: Serve, keys: ApiKeys, anonymous: bool) -> None:
    server = serve(anonymous=anonymous)
    client = Client(server)
    if anonymous:
        client.warm(predict())
    for _ in range(3):
        assert (client.ask(predict()), client.hot) == ((200, True) if anonymous else (401, False))
    client.warm(predict(keys.make("ci", Scope.PREDICT)))
    assert client.ask(predict("hs_wrong")) == 401
    assert client.ask(predict()) == (200 if anonymous else 401)


@pytest.mark.parametrize(
    "headers",
    [
        [("Authorization", "Basic {key}")],
        [("Authorization", "Bearer {key}"), ("Authorization", "Bearer {key}")],
        [("Authorization", "Bearer {key}"), ("authorization", "Bearer x")],
        [("Authorization", "Bearer")],
        [("Authorization", "")],
    ],
)
def test_malformed_credentials_are_never_hot(
    serve: Serve, keys: ApiKeys, headers: list[tuple[str, str]]
) -> None:
    """Also where requests without any are answered."""
    client, key = Client(serve(anonymous=True)), keys.make("ci", Scope.PREDICT)
    asked = request("/predict", BODY, [(name, value.format(key=key)) for name, value in headers])
    for _ in range(3):
        assert (client.ask(asked), client.hot) == (401, False)


def test_block_without_credentials_is_known_to_loopback_connections_only(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the second connection came to an address that other machines reach."""
    server = serve(anonymous=True)
    near = Client(server)
    near.warm(predict())
    assert server.hot is not None
    monkeypatch.setattr(Admission, "without_credentials", lambda self, address: False)
    far = Client(server)
    assert (far.ask(predict()), far.hot) == (200, False)
    assert (near.ask(predict()), near.hot) == (200, True)


def test_connection_from_outside_has_no_anonymous_access(serve: Serve, keys: ApiKeys) -> None:
    address = own_address()
    if not address:
        pytest.skip("this machine has no address but loopback")
    server = serve(anonymous=True, address="0.0.0.0")
    near, far = Client(server, "127.0.0.1"), Client(server, address)
    near.warm(predict())
    for _ in range(2):
        assert (far.ask(predict()), far.hot) == (401, False)
    assert far.ask(request("/status.json", b"", method="GET")) == 401
    far.warm(predict(keys.make("ci", Scope.PREDICT)))


def test_rate_of_a_key_holds_over_connections_and_paths(serve: Serve, keys: ApiKeys) -> None:
    """Another key is not held up."""
    slow = predict(keys.make("slow", Scope.PREDICT, requests_per_second=8))
    other = predict(keys.make("other", Scope.PREDICT))
    server = serve(monotonic=lambda: 0.0)
    clients = [Client(server) for _ in range(3)]
    assert [clients[place % 3].ask(slow) for place in range(12)] == [200] * 8 + [429] * 4
    assert not clients[2].hot
    assert b"\r\nretry-after: 1\r\n" in clients[2].answer.lower()
    assert b"slow may send 8 requests per second" in clients[2].answer
    clients[2].warm(other)
    assert server.metrics.errors_by_status() == {"429": 4}


def test_request_that_is_handed_on_counts_once(serve: Serve, keys: ApiKeys) -> None:
    """The fast path counts it, and so does the ordinary one, which answers it with an error."""
    asked = predict(keys.make("ci", Scope.PREDICT, requests_per_second=6))
    client = Client(serve(monotonic=lambda: 0.0))
    client.warm(asked)
    for _ in range(2):
        assert (client.ask(asked.replace(b"rows", b"rowz")), client.hot) == (400, False)
    assert [client.ask(asked) for _ in range(3)] == [200, 200, 429]


def test_slow_body_of_a_refused_request_closes_the_connection(serve: Serve, keys: ApiKeys) -> None:
    """The answer does not wait for the body, and the connection does not for ever."""
    server = serve(receive_seconds=0.8)
    with server.connect() as client:
        client.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n")
        assert read_answers(client, 1)[0].startswith(b"HTTP/1.1 401 ")
        client.settimeout(0.05)
        start = time.monotonic()
        while time.monotonic() < start + bound(10):
            try:
                client.sendall(b" ")
                if client.recv(1) == b"":
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        assert time.monotonic() - start < bound(4)


def test_connection_is_kept_after_a_refusal(serve: Serve, keys: ApiKeys) -> None:
    client = Client(serve())
    assert client.ask(predict()) == 401
    client.warm(predict(keys.make("ci", Scope.PREDICT)))
    assert client.ask(predict()) == 401


@pytest.mark.parametrize("credentials", [[], [("Authorization", "Bearer hs_wrong")]], ids=["none", "wrong"])
def test_strangers_do_not_displace_known_header_blocks(
    serve: Serve, keys: ApiKeys, credentials: list[tuple[str, str]]
) -> None:
    server, asked = serve(), predict(keys.make("ci", Scope.PREDICT))
    Client(server).warm(asked)
    stranger = Client(server)
    for letter in range(300):
        name = "x" * letter  # digits would not make another block
        assert stranger.ask(request("/predict", BODY, [*credentials, ("User-Agent", name)])) == 401
    again = Client(server)
    assert (again.ask(asked), again.hot) == (200, True)
