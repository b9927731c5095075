"""Fields of a request's JSON head: known keys, plain parameters, and the error for a field that cannot be read. Pure."""

from __future__ import annotations

from typing import Any

from shared.errors import InvalidRequest
from shared.validation_text import show


def malformed(field: str, problem: str, expected: str) -> InvalidRequest:
    """The error (400) for a field whose form is wrong."""
    return InvalidRequest(f"`{field[:80]}` {problem}", field=field[:80], expected=expected, status=400)


def check_keys(holder: dict[str, Any], allowed: frozenset[str], where: str) -> None:
    """Raises InvalidRequest for a key that the protocol does not have there."""
    if not holder.keys() <= allowed:
        name = min(holder.keys() - allowed)
        raise malformed(name[:80], f"of {where} is unknown", f"only {', '.join(sorted(allowed))}")


def read_text(holder: dict[str, Any], key: str) -> str | None:
    """A string, or None where it is missing or null. Raises InvalidRequest."""
    value = holder.get(key)
    if value is not None and not isinstance(value, str):
        raise malformed(key, f"is {show(value)}", "a string")
    return value


def read_parameters(holder: dict[str, Any], where: str) -> dict[str, Any]:
    """The object `parameters`: strings, numbers and booleans by name. Raises InvalidRequest."""
    parameters = holder.get("parameters")
    if parameters is None:
        return {}
    if not isinstance(parameters, dict) or any(
        isinstance(value, dict | list) for value in parameters.values()
    ):
        raise malformed(
            "parameters", f"of {where} is not an object of plain values", "strings, numbers, true or false"
        )
    for name in parameters:
        # Ignored, it would leave the client reading memory that nobody has written.
        if name.startswith("shared_memory_"):
            raise malformed(name, f"of {where} is not supported", "tensors in the body")
    return parameters


def read_flag(parameters: dict[str, Any], key: str, default: bool) -> bool:
    """A boolean parameter. Raises InvalidRequest."""
    value = parameters.get(key)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise malformed(key, f"is {show(value)}", "true or false")
    return value
