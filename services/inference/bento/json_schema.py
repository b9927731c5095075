"""JSON schemas in the form that BentoML keeps whole. Pure."""

from __future__ import annotations

from copy import deepcopy
from typing import Any


def standalone(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with each reference replaced by its definition, and a choice as `oneOf`, without null.

    BentoML's `/schema.json` drops the definitions, and keeps only the first of `anyOf`.
    """
    definitions = schema.get("$defs", {})
    found: dict[str, Any] = _resolve(
        {key: value for key, value in schema.items() if key != "$defs"}, definitions
    )
    return found


def _resolve(part: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(part, list):
        return [_resolve(item, definitions) for item in part]
    if not isinstance(part, dict):
        return part
    reference = part.get("$ref")
    if isinstance(reference, str):
        return _resolve(deepcopy(definitions[reference.rpartition("/")[2]]), definitions)
    resolved = {
        key: _resolve(value, definitions)
        for key, value in part.items()
        # A field without a value is left out of a request; null is not what it takes.
        if not (key == "default" and value is None)
    }
    if "anyOf" in resolved:
        choices = [choice for choice in resolved.pop("anyOf") if choice != {"type": "null"}]
        return {**choices[0], **resolved} if len(choices) == 1 else {**resolved, "oneOf": choices}
    return resolved
