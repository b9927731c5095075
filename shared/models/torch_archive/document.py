"""Typed access to the JSON documents of an archive. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import orjson

from shared.errors import UnservableModel

T = TypeVar("T")

MALFORMED = "save the program again with torch.export.save; if that does not help, export the model to ONNX"


def parse(name: str, raw: bytes) -> dict[str, Any]:
    """The object in a document. Raises UnservableModel."""
    try:
        found = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise UnservableModel(f"model.pt2: {name} is not valid JSON: {error}", hint=MALFORMED) from error
    return checked(found, dict, name)


def take(record: Any, key: str, kind: type[T], place: str) -> T:
    """The value of `key`, which must be of `kind`. Raises UnservableModel that names the place."""
    if not isinstance(record, dict) or key not in record:
        raise UnservableModel(f"model.pt2: {place} has no {key!r}", hint=MALFORMED)
    return checked(record[key], kind, f"{key!r} of {place}")


def checked(value: Any, kind: type[T], place: str) -> T:
    """`value`, if it is of `kind`; true and false are no integers. Raises UnservableModel."""
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise UnservableModel(
            f"model.pt2: {place} is {type(value).__name__}; expected {kind.__name__}", hint=MALFORMED
        )
    return value


def tagged(value: Any, place: str) -> tuple[str, Any]:
    """Tag and content of a union, which torch writes as an object with one key. Raises UnservableModel."""
    found: Mapping[str, Any] = checked(value, dict, place)
    if len(found) != 1:
        raise UnservableModel(f"model.pt2: {place} has {len(found)} keys; expected one", hint=MALFORMED)
    return next(iter(found.items()))
