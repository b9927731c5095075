"""Reads a JSON request body: content type, size, UTF-8, JSON, object or array, and a model's fields, in this order."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from functools import cache
from typing import Any, Protocol, TypeVar

import orjson
from pydantic import BaseModel, ValidationError

from shared.errors import InvalidRequest
from shared.repeated_names import repeated_name, repeats_a_name

_NAMES = {dict: "a JSON object", list: "a JSON array"}
Model = TypeVar("Model", bound=BaseModel)


class Request(Protocol):
    """What is needed of a request; Starlette's and FastAPI's have it."""

    @property
    def headers(self) -> Mapping[str, str]: ...

    def stream(self) -> AsyncIterator[bytes]: ...


async def read_json(
    request: Request, *, maximum_bytes: int, kind: type[dict[Any, Any]] | type[list[Any]] = dict
) -> Any:
    """The JSON document in the body; None if the body is empty. Raises InvalidRequest (400, 413, 415)."""
    # A page of another site can make a browser send text or a form here. JSON needs a preflight request, which we refuse.
    check_content_type(request.headers.get("content-type", ""))
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > maximum_bytes:
            raise body_too_large(maximum_bytes)
    return parse_json(bytes(raw), kind) if raw.strip() else None


def check_content_type(value: str) -> None:
    """Raises InvalidRequest (415) unless the Content-Type is application/json."""
    if value.partition(";")[0].strip().lower() != "application/json":
        raise InvalidRequest(
            f"Content-Type is {value[:80] or 'missing'}",
            field="Content-Type",
            expected="application/json",
            status=415,
        )


def body_too_large(maximum_bytes: int) -> InvalidRequest:
    """The error for a body above the limit."""
    return InvalidRequest(
        f"the body is larger than {maximum_bytes} bytes",
        field="body",
        expected=f"at most {maximum_bytes} bytes",
        status=413,
    )


def parse_json(raw: bytes | memoryview, kind: type[dict[Any, Any]] | type[list[Any]] | None = None) -> Any:
    """The JSON document in `raw`: UTF-8, no NaN or Infinity, no name twice in an object, at most 1024 levels.

    Raises InvalidRequest (400).
    """
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(
            f"the body is not JSON: {error}",
            field="body",
            expected="one JSON document in UTF-8, without NaN or Infinity",
            status=400,
        ) from error
    if kind is not None and not isinstance(document, kind):
        raise InvalidRequest(
            f"the body is not {_NAMES[kind]}", field="body", expected=_NAMES[kind], status=400
        )
    if repeats_a_name(raw, document):
        name = repeated_name(raw)[:80]
        raise InvalidRequest(
            f"an object in the body has the field {name!r} twice"
            if name
            else "an object in the body has a field twice",
            field=name or "body",
            expected="each name once per object",
            status=400,
        )
    return document


def described(*models: type[BaseModel]) -> dict[str, Any]:
    """How an OpenAPI document describes a body that `parse_model` reads as one of the models (FastAPI's `openapi_extra`)."""
    schemas = [_schema(model) for model in models]
    schema = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
    required = all(schema.get("required") for schema in schemas)
    return {"requestBody": {"required": required, "content": {"application/json": {"schema": schema}}}}


@cache
def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema()


def parse_model(model: type[Model], document: object) -> Model:
    """The document as `model`. Raises InvalidRequest (422) that names the first wrong field."""
    try:
        return model.model_validate({} if document is None else document)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(step) for step in first["loc"]) or "body"
        raise InvalidRequest(
            f"{field}: {first['msg']}", field=field, expected=", ".join(model.model_fields)
        ) from error
