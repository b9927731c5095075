"""`key` of a request: the id of what its rows are about, such as a customer. It is logged, and decides about a canary."""

from __future__ import annotations

from shared.errors import InvalidRequest

MAX_LENGTH = 256


def parse_key(value: object, *, field: str = "key") -> str | None:
    """The key of a request; None if it has none. Raises InvalidRequest."""
    if value is None:
        return None
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_LENGTH:
        raise InvalidRequest(
            # It may be personal, so it is not shown.
            f"`{field}` has {len(value)} characters" if isinstance(value, str) else f"`{field}` is not text",
            field=field,
            expected=f"text of 1 to {MAX_LENGTH} characters",
            status=400,
        )
    return value
