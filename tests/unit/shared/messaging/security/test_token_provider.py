from __future__ import annotations

import base64
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs

import orjson
import pytest

from shared.errors import OperatorError
from shared.messaging.security.token_provider import (
    Token,
    TokenProvider,
    TokenUnavailable,
    seconds_left,
    token_of_command,
    token_of_endpoint,
)
from shared.tls.client_context import ClientTls


class Endpoint:
    """A token endpoint that remembers requests."""

    def __init__(self) -> None:
        self.status = 200
        self.body: Any = {"access_token": "abc", "expires_in": 300}
        self.requests: list[tuple[str, dict[str, list[str]]]] = []
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                form = self.rfile.read(int(self.headers["Content-Length"])).decode()
                endpoint.requests.append((self.headers["Authorization"], parse_qs(form)))
                content = orjson.dumps(endpoint.body)
                self.send_response(endpoint.status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                """Nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/token"


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    endpoint = Endpoint()
    thread = threading.Thread(target=endpoint.server.serve_forever, daemon=True)
    thread.start()
    yield endpoint
    endpoint.server.shutdown()
    endpoint.server.server_close()


def token(endpoint: Endpoint, secret: str = "s/e c") -> Token:
    return token_of_endpoint(endpoint.url, "me", secret, "kafka", ClientTls())


def test_token_is_requested_with_client_credentials(endpoint: Endpoint) -> None:
    assert token(endpoint) == Token("abc", 300.0)
    ((authorization, form),) = endpoint.requests
    assert base64.b64decode(authorization.removeprefix("Basic ")) == b"me:s%2Fe%20c"
    assert form == {"grant_type": ["client_credentials"], "scope": ["kafka"]}


def test_refusal_of_the_endpoint_is_quoted(endpoint: Endpoint) -> None:
    endpoint.status, endpoint.body = 401, {"error": "invalid_client"}
    with pytest.raises(OperatorError, match='answered 401: {"error":"invalid_client"}') as error:
        token(endpoint, "hidden")
    assert "hidden" not in str(error.value)


@pytest.mark.parametrize("body", [[], {}, {"access_token": "a", "expires_in": "soon"}])
def test_answer_without_a_token_is_refused(endpoint: Endpoint, body: Any) -> None:
    endpoint.body = body
    with pytest.raises(OperatorError, match="returned no access token"):
        token(endpoint)


def test_endpoint_that_is_away_is_named() -> None:
    with pytest.raises(OperatorError, match="HOMEOSTAT_KAFKA_OAUTH_TOKEN_URL: .* cannot be reached"):
        token_of_endpoint("http://127.0.0.1:1/token", "a", "b", "", ClientTls())


def test_command_prints_the_token() -> None:
    claims = base64.urlsafe_b64encode(orjson.dumps({"exp": 4_000_000_000})).decode().rstrip("=")
    found = token_of_command((sys.executable, "-c", f"print('h.{claims}.s')"))
    assert found.text == f"h.{claims}.s"
    assert found.seconds > 1e6


@pytest.mark.parametrize("program", ["raise SystemExit(3)", "pass"])
def test_command_without_a_token_is_named(program: str) -> None:
    with pytest.raises(OperatorError, match="printed no token"):
        token_of_command((sys.executable, "-c", program))


@pytest.mark.parametrize("text", ["opaque", "a.b.c", "a.e30.c", "a.W10.c"])
def test_token_of_unknown_life_is_used_for_a_minute(text: str) -> None:
    assert seconds_left(text) == 60


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_token_is_kept_until_shortly_before_it_expires() -> None:
    clock, made = Clock(), iter("abc")
    provider = TokenProvider(lambda: Token(next(made), 300), clock=clock)
    found = []
    for clock.now in (0, 269, 270, 500, 540):
        found.append(provider.token())
    assert found == ["a", "a", "b", "b", "c"]


def test_failure_is_not_kept() -> None:
    made: list[Token] = []

    def source() -> Token:
        if not made:
            made.append(Token("a", 10))
            raise OperatorError("away")
        return made[0]

    provider = TokenProvider(source)
    with pytest.raises(TokenUnavailable, match="away"):
        provider.token()
    assert provider.token() == "a"
