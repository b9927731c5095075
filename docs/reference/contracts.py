"""Contracts: `loop.yaml`, manifest, release, verdict, topics, columns of the lake, and the tree of errors."""

from __future__ import annotations

import inspect
import types
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pyarrow as pa
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from docs.reference.markdown import code, table
from shared import errors
from shared.contracts import lake_schema, topics
from shared.contracts.duration import duration_text
from shared.contracts.loop_spec import LoopSpec
from shared.contracts.manifest import Manifest, Origin
from shared.contracts.release import Release
from shared.contracts.verdict import Score, Verdict

_WORDS: dict[Any, str] = {
    str: "text",
    int: "integer",
    float: "number",
    bool: "true or false",
    timedelta: "duration",
    datetime: "time",
}


def loop_table(_: str) -> str:
    """Every key of `loop.yaml`."""
    rows = ((code(path), kind, default, text) for path, kind, default, text in loop_keys(LoopSpec))
    return table(("key", "type", "default", "meaning"), rows)


def loop_keys(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str, str, str]]:
    """Path, type, default and meaning of each key below a part of the specification."""
    for name, field in model.model_fields.items():
        path = f"{prefix}{name}"
        annotation, many = _unwrapped(field.annotation)
        parts = [
            part
            for part in _alternatives(annotation)
            if isinstance(part, type) and issubclass(part, BaseModel)
        ]
        described = field.description or _first(parts[0].__doc__ if len(parts) == 1 else None)
        shown = f"{path}[]" if many and parts else path
        if len(parts) > 1:
            yield shown, "one of the forms below", _default(field), described or _forms(parts)
            for part in parts:
                tag, value = _tag(part)
                yield f"{shown} {tag}: {value}", "form", "", _first(part.__doc__)
                yield from (key for key in loop_keys(part, f"{shown}.") if not key[0].endswith(f".{tag}"))
        elif parts:
            yield shown, "list of mappings" if many else "mapping", _default(field), described
            yield from loop_keys(parts[0], f"{shown}.")
        else:
            yield shown, _kind(field.annotation), _default(field), described


def manifest_table(_: str) -> str:
    """The manifest and where a version comes from."""
    return _model_table(Manifest, "") + "\n`origin`:\n\n" + _model_table(Origin, "origin.")


def release_table(_: str) -> str:
    """A release."""
    return _model_table(Release, "")


def verdict_table(_: str) -> str:
    """A verdict and its scores."""
    return _model_table(Verdict, "") + "\n`scores[]`:\n\n" + _model_table(Score, "scores[].")


def topic_table(_: str) -> str:
    """The topics."""
    rows = [
        (code(topic.name), str(topic.partitions), code(topic.event_type), topic.purpose)
        for topic in topics.ALL
    ]
    return table(("topic", "partitions", "ce_type", "carries"), rows)


def columns_table(subject: str) -> str:
    """Columns of one of the lake's tables."""
    schema: pa.Schema = {
        "predictions": _with_optional(
            lake_schema.PREDICTION_COLUMNS, lake_schema.PREDICTION_OPTIONAL_COLUMNS
        ),
        "outcomes": _with_optional(lake_schema.OUTCOME_COLUMNS, lake_schema.OUTCOME_OPTIONAL_COLUMNS).append(
            pa.field(lake_schema.ID_HOUR, lake_schema.TIMESTAMP)
        ),
        "dead_letters": lake_schema.DEAD_LETTER_COLUMNS,
    }[subject]
    return table(
        ("column", "type", "may be null"),
        ((code(f.name), str(f.type), "yes" if f.nullable else "no") for f in schema),
    )


def error_table(_: str) -> str:
    """The tree of errors with the HTTP status each becomes."""
    members: list[type] = [member for _, member in inspect.getmembers(errors, inspect.isclass)]
    tree = [member for member in members if issubclass(member, errors.HomeostatError)]
    rows = [
        (code(member.__name__), str(member.status), _first(member.__doc__))
        for member in sorted(tree, key=lambda member: [base.__name__ for base in reversed(member.__mro__)])
    ]
    return table(("error", "status", "meaning"), rows)


def _model_table(model: type[BaseModel], prefix: str) -> str:
    rows = [
        (code(f"{prefix}{name}"), _kind(field.annotation), _default(field), field.description or "")
        for name, field in model.model_fields.items()
    ]
    return table(("field", "type", "default", "meaning"), rows)


def _with_optional(always: pa.Schema, optional: pa.Schema) -> pa.Schema:
    return pa.unify_schemas([always, optional])


def _unwrapped(annotation: Any) -> tuple[Any, bool]:
    """The type inside `tuple[X, ...]`, and whether it was in one."""
    if get_origin(annotation) is tuple:
        return get_args(annotation)[0], True
    return annotation, False


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) is Annotated:
        return _alternatives(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return tuple(part for one in get_args(annotation) for part in _alternatives(one))
    return (annotation,)


def _kind(annotation: Any) -> str:
    inner, many = _unwrapped(annotation)
    if get_origin(inner) is Annotated:
        inner = get_args(inner)[0]
    kept = [part for part in _alternatives(inner) if part is not type(None)]
    if kept and all(get_origin(part) is Literal for part in kept):
        choices = dict.fromkeys(_choice(choice) for part in kept for choice in get_args(part))
        spoken = ", ".join(code(choice) for choice in choices)
    elif get_origin(inner) is dict:
        spoken = "mapping"
    else:
        spoken = " or ".join(_word(part) for part in kept)
    return f"list of {spoken}" if many else spoken


def _choice(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _word(part: Any) -> str:
    if isinstance(part, type) and issubclass(part, BaseModel):
        return "object"
    return _WORDS.get(part, getattr(part, "__name__", str(part)).lower())


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is PydanticUndefined:
        return "empty" if field.default_factory is not None else "required"
    if value is None or value == "" or value == ():
        return "none"
    if isinstance(value, timedelta):
        return code(duration_text(value))
    if isinstance(value, BaseModel):
        return code(", ".join(f"{key}: {item}" for key, item in value.model_dump(mode="json").items()))
    if isinstance(value, tuple):
        return code("[" + ", ".join(str(item) for item in value) + "]")
    return code(str(value).lower() if isinstance(value, bool) else str(value))


def _tag(part: type[BaseModel]) -> tuple[str, str]:
    for name, field in part.model_fields.items():
        if get_origin(field.annotation) is Literal:
            return name, str(get_args(field.annotation)[0])
    raise TypeError(f"{part.__name__} has no tag")


def _forms(parts: list[Any]) -> str:
    tag = _tag(parts[0])[0]
    return f"Told apart by `{tag}`."


def _first(docstring: str | None) -> str:
    return " ".join((docstring or "").split("\n\n")[0].split())
