"""A response: status, body and headers."""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from shared.http.errors import ErrorResponse

Header = tuple[bytes, bytes]

JSON: Header = (b"content-type", b"application/json")


@dataclass(slots=True)
class Answer:
    """An HTTP answer, whole."""

    status: int
    body: bytes
    headers: tuple[Header, ...] = (JSON,)


def json_answer(document: object, status: int = 200) -> Answer:
    """A JSON document as an answer."""
    return Answer(status, orjson.dumps(document))


def from_error(made: ErrorResponse) -> Answer:
    """An error as an answer."""
    extra = tuple((name.lower().encode(), value.encode()) for name, value in made.headers.items())
    return Answer(made.status, made.body, (JSON, *extra))
