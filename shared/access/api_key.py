"""API keys: how they are written, made and recognised. Only a digest of a key is ever stored.

A key is `hs_<id>_<secret>`: a prefix that secret scanners can search for, an id that logs may show, and 256 random bits. The
secret is not chosen by a person, so a plain SHA-256 protects it: there is nothing to guess that a slow hash would make dearer
(NIST SP 800-63B, 5.1.2.2, asks for slow hashes below 112 bits).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from hmac import compare_digest
from secrets import token_hex, token_urlsafe
from typing import Any, Final

from shared.access.scope import Scope
from shared.errors import OperatorError

KEY_TEXT: Final = re.compile(r"hs_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
KEY_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_SECRET_BYTES = 32


@dataclass(frozen=True)
class ApiKey:
    """What is stored of one key. Times are in UTC; `expires_at` and `revoked_at` may be None.

    `requests_per_second`: the rate above which its requests are refused; None for no limit.
    """

    key_id: str
    name: str
    scopes: frozenset[Scope]
    digest: str
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    requests_per_second: float | None = None

    def matches(self, secret: str) -> bool:
        """Whether `secret` is this key's; takes the same time for every wrong one."""
        return compare_digest(digest_of(secret), self.digest)

    def problem(self, now: datetime) -> str:
        """Why the key is not valid now; empty if it is."""
        if self.revoked_at is not None:  # also by a clock that is ahead
            return "was revoked"
        if self.expires_at is not None and self.expires_at <= now:
            return "has expired"
        return ""

    def seconds_left(self, now: datetime) -> float:
        """Seconds from now until the key expires or is revoked; infinite if neither is set."""
        ends = [moment for moment in (self.expires_at, self.revoked_at) if moment is not None]
        return (min(ends) - now).total_seconds() if ends else math.inf

    def to_json(self) -> dict[str, Any]:
        """The entry of the key file."""
        return {
            "id": self.key_id,
            "name": self.name,
            "scopes": sorted(self.scopes),
            "sha256": self.digest,
            "created_at": self.created_at.isoformat(),
            "expires_at": self.expires_at.isoformat() if self.expires_at else None,
            "revoked_at": self.revoked_at.isoformat() if self.revoked_at else None,
            "requests_per_second": self.requests_per_second,
        }

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> ApiKey:
        """Raises KeyError, TypeError or ValueError for anything but an entry of `to_json`."""
        expires, revoked, rate = entry["expires_at"], entry["revoked_at"], entry["requests_per_second"]
        return cls(
            key_id=str(entry["id"]),
            name=str(entry["name"]),
            scopes=frozenset(Scope(name) for name in entry["scopes"]),
            digest=str(entry["sha256"]),
            created_at=_time(entry["created_at"]),
            expires_at=None if expires is None else _time(expires),
            revoked_at=None if revoked is None else _time(revoked),
            requests_per_second=None if rate is None else _rate(rate),
        )


def make_key(
    name: str,
    scopes: frozenset[Scope],
    now: datetime,
    *,
    expires_at: datetime | None = None,
    requests_per_second: float | None = None,
) -> tuple[ApiKey, str]:
    """A new key: what to store, and the text to hand out, which cannot be recovered later."""
    key_id, secret = token_hex(6), token_urlsafe(_SECRET_BYTES)
    key = ApiKey(
        key_id,
        name,
        scopes,
        digest_of(secret),
        now,
        expires_at=expires_at,
        requests_per_second=requests_per_second,
    )
    return key, f"hs_{key_id}_{secret}"


def key_of(name: str, scopes: frozenset[Scope], text: str, now: datetime) -> ApiKey:
    """What to store of a key that was made elsewhere. Raises OperatorError for a text that is not a key."""
    found = KEY_TEXT.fullmatch(text)
    if found is None:
        raise OperatorError(
            f"the API key {name} is malformed, expected hs_<12 hexadecimal digits>_<43 characters>",
            hint="remove its file and run deploy/containers/secrets.sh",
        )
    return ApiKey(found[1], name, scopes, digest_of(found[2]), now)


def digest_of(secret: str) -> str:
    """What is stored of a secret."""
    return sha256(secret.encode()).hexdigest()


def _rate(given: float) -> float:
    rate = float(given)
    if not 0 < rate < math.inf:
        raise ValueError(f"requests_per_second is {rate:g}")
    return rate


def _time(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time without an offset")
    return moment
