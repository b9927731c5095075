"""What was wrong with a value, in words: the field, what was given, what is expected."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_LIMITS = {
    "greater_than": ("more than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}
_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "finite_number": "a finite number",
    "string": "text",
    "bool": "true or false",
    "tuple": "a list",
    "list": "a list",
    "path": "a path",
    "dict": "a mapping of keys",
    "model": "a mapping of keys",
    "model_attributes": "a mapping of keys",
}


def show(value: object) -> str:
    """A value for a message, shortened to 60 characters."""
    try:
        text = repr(value)
    except RecursionError:  # parsers follow more levels than repr
        return "nested too deeply to be shown"
    return text if len(text) <= 60 else f"{text[:57]}…"


def kind_of(value: object) -> str:
    """What a value is, for a message that must not show it: it may be personal.

    >>> kind_of("anna"), kind_of([1, 2]), kind_of({"a": 1}), kind_of(None)
    ('text', 'a list of 2', 'an object', 'null')
    """
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    return "text" if isinstance(value, str) else "an object" if isinstance(value, dict) else "a number"


def problem_text(field: str, problem: Mapping[str, Any]) -> str:
    """A sentence for one entry of pydantic's `ValidationError.errors()`."""
    kind, context = str(problem["type"]), problem.get("ctx") or {}
    if kind == "missing":
        return f"{field} is missing"
    if kind == "extra_forbidden":
        return f"{field} is not a known key"
    if kind == "union_tag_not_found":
        return f"{field}.{_unquoted(context['discriminator'])} is missing"
    if kind == "union_tag_invalid":
        tags = _unquoted(context["expected_tags"])
        return f"{field}.{_unquoted(context['discriminator'])} is {context['tag']!r}; expected one of {tags}"
    given = _given(problem.get("input"))
    if kind == "value_error":
        text = str(problem["msg"]).removeprefix("Value error, ")
        return f"{field}: {text}{f', got {given}' if given else ''}"
    expected = _expected(kind, context)
    note = "; YAML reads an unquoted yes, no, on or off as true or false: put it in quotes"
    return (f"{field} is {given}; expected {expected}" if given else f"{field}: expected {expected}") + (
        note if isinstance(problem.get("input"), bool) else ""
    )


def _expected(kind: str, context: Mapping[str, Any]) -> str:
    if kind in _LIMITS:
        words, name = _LIMITS[kind]
        return f"{words} {_plain(context[name])}"
    if kind == "literal_error":
        return f"one of {_unquoted(context['expected']).replace(' or ', ', ')}"
    if kind == "string_pattern_mismatch":
        return f"text that matches {context['pattern']}"
    if kind == "too_short":
        least = context.get("min_length", 1)
        return f"at least {least} {'entry' if least == 1 else 'entries'}"
    if kind == "string_too_short":
        return "text"
    return next(
        (text for name, text in _KINDS.items() if kind.startswith(f"{name}_")),
        _KINDS.get(kind, "another value"),
    )


def _plain(value: object) -> str:
    # pydantic writes the limit of a duration as Python would.
    if str(value) == "datetime.timedelta(0)":
        return "0 s"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _unquoted(value: object) -> str:
    return str(value).replace("'", "")


def _given(value: object) -> str:
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return str(value).lower()
    seconds = getattr(value, "total_seconds", None)
    if seconds is not None:
        return f"{seconds():g} s"
    return repr(value) if isinstance(value, str | int | float) else ""
