"""Codes for links that log a browser in: each is valid once and for a minute, and stands for the credential it was made with.

A link ends up in the history of a browser and of a shell, where a key must not be.
"""

from __future__ import annotations

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
    authorization: str = field(repr=False)
    made_s: float


class LoginCodes:
    """Codes that were not used yet. `ticks` is a monotonic clock in seconds. For one event loop."""

    def __init__(self, ticks: Callable[[], float]) -> None:
        self._ticks = ticks
        self._codes: dict[bytes, _Code] = {}

    def make(self, authorization: str) -> str:
        """A code for the credential of an `Authorization` header. Of too many, the oldest becomes invalid."""
        while len(self._codes) >= MAXIMUM_CODES:
            del self._codes[next(iter(self._codes))]
        code = token_urlsafe(_CODE_BYTES)
        self._codes[_digest(code)] = _Code(authorization, self._ticks())
        return code

    def redeem(self, code: str) -> str | None:
        """The `Authorization` header that a code stands for; None for a code that is not valid (any more)."""
        found = self._codes.pop(_digest(code), None)
        if found is None or self._ticks() - found.made_s >= LIFETIME_S:
            return None
        return found.authorization


def _digest(code: str) -> bytes:
    return sha256(code.encode("utf-8", "replace")).digest()
