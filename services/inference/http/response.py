"""A response: status, body and headers."""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from shared.http.errors import ErrorResponse

Header = tuple[bytes, bytes]

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
