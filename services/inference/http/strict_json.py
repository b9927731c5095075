"""JSON as the doors accept it: UTF-8, no NaN or Infinity, no name twice in one object, at most 1024 levels.

orjson refuses all of that by itself except a repeated name, of which it silently keeps the last. Every name in a JSON
text is followed by one colon, so a text with as many colons as names has no repetition. Only texts with more colons are
read again, slowly.
"""

from __future__ import annotations

import json
from typing import Any

import orjson

from shared.errors import InvalidRequest


def decode(body: bytes | memoryview) -> Any:
    """The document in `body`; a name given twice may have slipped through: see `refuse_repeated_names`."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(
            f"the body is not JSON: {error}",
            field="body",
            expected="one JSON document in UTF-8, without NaN or Infinity",
            status=400,
        ) from error


def refuse_repeated_names(body: bytes | memoryview, names: int) -> None:
    """Raise InvalidRequest where an object names something twice. `names`: how many names the decoded document has."""
    text = bytes(body)
    if text.count(b":") != names:
        json.loads(text, object_pairs_hook=_unique)


def _unique(pairs: list[tuple[str, object]]) -> None:
    seen = set()
    for name, _ in pairs:
        if name in seen:
            raise InvalidRequest(
                f"the body names {name[:80]!r} twice in one object",
                field=name[:80],
                expected="each name once",
                status=400,
            )
        seen.add(name)
