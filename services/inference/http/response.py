"""A response: status, body and headers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

import orjson

from services.inference.http.body import Receive
from shared.http.errors import ErrorResponse

Header = tuple[bytes, bytes]
Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]

JSON: Header = (b"content-type", b"application/json")


@dataclass(slots=True)
class Response:
    """A complete HTTP response."""

    status: int
    body: bytes
    headers: tuple[Header, ...] = (JSON,)


def json_response(document: object, status: int = 200) -> Response:
    """A JSON document as a response."""
    return Response(status, orjson.dumps(document))


def from_error(made: ErrorResponse) -> Response:
    """An error as a response."""
    extra = tuple((name.lower().encode(), value.encode()) for name, value in made.headers.items())
    return Response(made.status, made.body, (JSON, *extra))


async def send_response(send: Send, response: Response, *, head_only: bool) -> None:
    """Send a response over ASGI; `head_only`: without its body."""
    headers = [*response.headers, (b"content-length", b"%d" % len(response.body))]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head_only else response.body})
