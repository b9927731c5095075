"""Codes for links that log a browser in: each is valid once and for a minute, and stands for the credential it was made with.

A link ends up in the history of a browser and of a shell, where a key must not be. If there are too many codes, the oldest one
of the person who has most of them becomes invalid: nobody can take another's by making many.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from secrets import token_urlsafe
from typing import Final

LIFETIME_S: Final = 60.0
MAXIMUM_CODES: Final = 64
_CODE_BYTES = 32


@dataclass(frozen=True)
class _Code:
    name: str
    authorization: str = field(repr=False)
    made_s: float


class LoginCodes:
    """Codes that were not used yet. `ticks` is a monotonic clock in seconds. For one event loop."""

    def __init__(self, ticks: Callable[[], float]) -> None:
        self._ticks = ticks
        self._codes: dict[bytes, _Code] = {}

    def make(self, name: str, authorization: str) -> str:
        """A code for the person `name`, who has shown the credential of an `Authorization` header."""
        now = self._ticks()
        self._codes = {key: each for key, each in self._codes.items() if now - each.made_s < LIFETIME_S}
        if len(self._codes) >= MAXIMUM_CODES:
            [(most, _)] = Counter(each.name for each in self._codes.values()).most_common(1)
            del self._codes[next(key for key, each in self._codes.items() if each.name == most)]
        code = token_urlsafe(_CODE_BYTES)
        self._codes[_digest(code)] = _Code(name, authorization, now)
        return code

    def redeem(self, code: str) -> str | None:
        """The `Authorization` header that a code stands for; None for a code that is not valid (any more)."""
        found = self._codes.pop(_digest(code), None)
        if found is None or self._ticks() - found.made_s >= LIFETIME_S:
            return None
        return found.authorization


def _digest(code: str) -> bytes:
    return sha256(code.encode("utf-8", "replace")).digest()
