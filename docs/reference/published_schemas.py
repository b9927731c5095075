"""`docs/contracts/schemas.json`: fields of everything that a release stores and another one reads, and which changes break that.

Records, tables and files live longer than the release that wrote them, and other programs read them. So a field keeps its name,
its type and whether it is always there; what is new is optional. An enumeration may get further values.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
from pydantic import BaseModel

from shared.contracts import lake_schema
from shared.contracts.manifest import FileDigest, Manifest, Origin
from shared.contracts.release import Release
from shared.contracts.verdict import MetricValue, Score, Verdict

Fields = dict[str, dict[str, Any]]
_TABLES = {
    "lake predictions": (lake_schema.PREDICTION_COLUMNS, lake_schema.PREDICTION_OPTIONAL_COLUMNS),
    "lake outcomes": (lake_schema.OUTCOME_COLUMNS, lake_schema.OUTCOME_OPTIONAL_COLUMNS),
    "lake dead_letters": (lake_schema.DEAD_LETTER_COLUMNS,),
}
_DOCUMENTS: tuple[type[BaseModel], ...] = (Verdict, Score, MetricValue, Release, Manifest, Origin, FileDigest)
# Of a JSON schema: without titles, defaults, and bounds of values, which may become wider.
_TYPE_KEYS = (
    "type",
    "enum",
    "const",
    "anyOf",
    "items",
    "additionalProperties",
    "prefixItems",
    "format",
    "$ref",
)


def schemas() -> dict[str, Fields]:
    """Each schema: its fields by name, with type and whether they are required."""
    found = {name: _columns(parts) for name, parts in _TABLES.items()}
    return found | {model.__name__: _fields(model.model_json_schema()) for model in _DOCUMENTS}


def schemas_text(published: str) -> str:
    """The file's text as the code says it now. Raises ValueError where that breaks what is published."""
    current = schemas()
    if broken := incompatible(json.loads(published), current):
        raise ValueError(
            f"incompatible with docs/contracts/schemas.json: {'; '.join(broken)}. Add an optional field instead, read both, and "
            "keep the old one"
        )
    return json.dumps(current, indent=1, sort_keys=True) + "\n"


def incompatible(published: Mapping[str, Fields], current: Mapping[str, Fields]) -> list[str]:
    """Changes that break readers or stored data, each as a short text."""
    found = []
    for name, fields in sorted(published.items()):
        if name not in current:
            found.append(f"{name} is missing")
            continue
        now = current[name]
        for field, before in sorted(fields.items()):
            if field not in now:
                found.append(f"{name}.{field} is missing")
            elif not _extends(before["type"], now[field]["type"]):
                found.append(f"{name}.{field} has another type")
            elif before["required"] != now[field]["required"]:
                found.append(f"{name}.{field} is {'no longer' if before['required'] else 'now'} required")
        for field in sorted(now.keys() - fields.keys()):
            if now[field]["required"]:
                found.append(f"{name}.{field} is new and required")
    return found


def _extends(before: Any, now: Any) -> bool:
    """Whether every value of the type before is one of the type now: it is the same, or an enumeration has further values."""
    if isinstance(before, dict) and isinstance(now, dict):
        if before.keys() != now.keys():
            return False
        return all(
            set(before[key]) <= set(now[key]) if key == "enum" else _extends(before[key], now[key])
            for key in before
        )
    if isinstance(before, list) and isinstance(now, list):
        return len(before) == len(now) and all(map(_extends, before, now))
    return bool(before == now)


def _columns(parts: tuple[pa.Schema, ...]) -> Fields:
    always = parts[0]
    return {
        field.name: {"type": str(field.type), "required": field in always and not field.nullable}
        for part in parts
        for field in part
    }


def _fields(document: Mapping[str, Any]) -> Fields:
    required = document.get("required", ())
    return {
        name: {"type": _type(kind), "required": name in required}
        for name, kind in document.get("properties", {}).items()
    }


def _type(kind: Any) -> Any:
    if isinstance(kind, dict):
        return {key: _type(kind[key]) for key in _TYPE_KEYS if key in kind}
    return [_type(one) for one in kind] if isinstance(kind, list) else kind
