"""Whether an object of a JSON document has a name twice. Pure.

RFC 8259 leaves to each parser which of two members it takes: two that read one request could then differ. orjson takes the last
one and says nothing. A member has one colon outside strings, so a document with as many colons as names has no repeats. Colons
in strings are counted, too, at first: that can only hand a document without repeats to the exact count.
"""

from __future__ import annotations

import json
import re
from typing import Any

_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_NAMED_BYTES = 64 << 10  # of larger documents the name is not looked for: that takes longer than all else
_SPACED_COLONS = (b" :", b"\n:", b"\r:", b"\t:")


class _Repeated(Exception):
    """Two members of one object have the same name."""


def repeats_a_name(raw: bytes | memoryview, document: object) -> bool:
    """Whether an object in `raw` has a name twice; `document`: what `raw` was parsed to, by a parser that takes one of them.

    1. as many colons as names; the names are counted level by level until it is clear: the numbers of a tensor are not looked at
    2. of strings that hold colons, such as timestamps, only those at their very beginning count
    3. exactly: colons outside strings
    """
    text = bytes(raw)
    colons, after_quotes = text.count(b":"), text.count(b'":')
    if colons != after_quotes and not any(spaced in text for spaced in _SPACED_COLONS):
        colons = after_quotes
    names = _count_names(document, enough=colons)
    return names < colons and names < _STRING.sub(b"", text).count(b":")


def repeated_name(raw: bytes | memoryview) -> str:
    """The first name that is repeated in a document that repeats one; empty if it cannot be told, or takes too long to find."""
    if len(raw) > _NAMED_BYTES:
        return ""
    found: list[str] = []

    def look(members: list[tuple[str, Any]]) -> None:
        names: set[str] = set()
        for name, _ in members:
            if name in names:
                found.append(name)
                raise _Repeated
            names.add(name)

    try:
        json.loads(bytes(raw), object_pairs_hook=look)
    except (_Repeated, ValueError, RecursionError):
        pass
    return found[0] if found else ""


def _count_names(document: object, *, enough: int) -> int:
    """Members of all objects; `enough`: where to stop."""
    names, level = 0, [document]
    while level and names < enough:
        following: list[object] = []
        for one in level:
            if isinstance(one, dict):
                names += len(one)
                following.append(one.values())
            elif isinstance(one, list):
                following.append(one)
        if names >= enough:
            break
        level = [value for values in following for value in values if isinstance(value, dict | list)]  # type: ignore[attr-defined]
    return names
