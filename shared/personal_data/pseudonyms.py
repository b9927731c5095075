"""Pseudonyms: keyed hashes that replace personal values, so that who lacks the key can neither read nor guess them.

A value always has the same pseudonym under one secret, in every model, so that rows of one person can be joined, counted and
erased. Without the secret a list of all customers does not help: HMAC (RFC 2104) with SHA-256, cut to 128 bits.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from shared.models.signed_versions.key_files import record_secrets

_PURPOSE: Final = b"homeostat pseudonym\0"
_BYTES: Final = 16
PREFIX: Final = "ps_"
_PSEUDONYM: Final = re.compile(rf"{PREFIX}[0-9a-f]{{{2 * _BYTES}}}")


class Pseudonyms:
    """The pseudonyms of an installation.

    The first secret is in use. Rows that were logged under the others, which were in use before, can still be found.

    >>> names = Pseudonyms([b"k" * 32])
    >>> names.of("anna")
    'ps_acf1d29e7b4a600f4b2c64ed3e8ea772'
    >>> names.of(names.of("anna")) == names.of("anna")
    True
    """

    def __init__(self, secrets: Sequence[bytes]) -> None:
        """Raises ValueError without a secret."""
        if not secrets:
            raise ValueError("pseudonyms need a secret")
        self._secrets = tuple(secrets)

    @classmethod
    def read(cls, path: Path) -> Pseudonyms:
        """With the secrets of a key file, the current one first. Raises OperatorError."""
        return cls(record_secrets(path))

    def of(self, value: str) -> str:
        """The pseudonym of a value. A pseudonym is its own: rows of the log may be sent and stored again."""
        return value if is_pseudonym(value) else _pseudonym(self._secrets[0], value)

    def all_of(self, value: str) -> tuple[str, ...]:
        """The pseudonyms of a value under every secret, the current one first."""
        if is_pseudonym(value):
            return (value,)
        return tuple(dict.fromkeys(_pseudonym(secret, value) for secret in self._secrets))


def is_pseudonym(value: str) -> bool:
    """Whether a value has the form of a pseudonym."""
    return value.startswith(PREFIX) and _PSEUDONYM.fullmatch(value) is not None


def _pseudonym(secret: bytes, value: str) -> str:
    digest = hmac.digest(secret, _PURPOSE + value.encode("utf-8", "surrogatepass"), "sha256")
    return PREFIX + digest[:_BYTES].hex()
