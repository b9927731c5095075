from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field

from shared.errors import InvalidRequest
from shared.http.json_body import parse_json, parse_model, read_json


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")

    actor: str = Field(min_length=1)
    note: str = ""


class Chunks:
    """A request whose body comes in pieces; counts those that were read."""

    def __init__(self, *chunks: bytes, content_type: str = "application/json; charset=utf-8") -> None:
        self.headers = {"content-type": content_type}
        self.chunks = chunks
        self.read = 0

    async def stream(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            self.read += 1
            yield chunk


def read(request: Chunks, maximum_bytes: int = 20, **more: Any) -> Any:
    return asyncio.run(read_json(request, maximum_bytes=maximum_bytes, **more))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"NaN",
        b"[Infinity]",
        b"1e999",
        b'"\xff"',
        b'"\\ud800"',
        b"[1,]",
        b"{} {}",
        b"[" * 5000 + b"]" * 5000,
    ],
)
def test_parse_json_is_strict(body: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_json(body)
    assert (caught.value.status, caught.value.field) == (400, "body")


@pytest.mark.parametrize(("body", "kind"), [(b"[]", dict), (b"{}", list), (b"null", dict), (b"1", list)])
def test_other_kind_is_refused(body: bytes, kind: Any) -> None:
    with pytest.raises(InvalidRequest, match="the body is not a JSON (object|array)") as caught:
        parse_json(body, kind)
    assert caught.value.status == 400


def test_body_comes_in_chunks_or_is_empty() -> None:
    assert read(Chunks(b'{"a"', b": 1}")) == {"a": 1}
    assert read(Chunks(b" \n")) is None


def test_reading_stops_at_the_limit() -> None:
    request = Chunks(b"[" * 15, b"[" * 6, b"[" * 15)
    with pytest.raises(InvalidRequest) as caught:
        read(request)
    assert (caught.value.status, request.read) == (413, 2)


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded"])
def test_content_type_must_be_json(content_type: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(Chunks(b"{}", content_type=content_type))
    assert caught.value.status == 415


@pytest.mark.parametrize(
    ("document", "field"),
    [
        (None, "actor"),
        ({}, "actor"),
        ({"actor": ""}, "actor"),
        ({"actor": "a", "who": 1}, "who"),
        ([], "body"),
    ],
)
def test_first_wrong_field_is_named(document: object, field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_model(Body, document)
    assert (caught.value.status, caught.value.field) == (422, field)
    assert parse_model(Body, {"actor": "ada"}) == Body(actor="ada")
