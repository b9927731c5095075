"""A file of API keys to change while a server reads it, and authenticators for tests."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from shared.access.api_key import digest_of, make_key
from shared.access.authenticator import Authenticator
from shared.access.key_file import KeyFile
from shared.access.scope import Scope

# Whoever connects to a loopback address may predict, post outcomes and read.
ANYONE = Authenticator(KeyFile(Path("no keys")), anonymous=True)


class ApiKeys:
    """Keys by name, in a file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = KeyFile(path)
        self._ids: dict[str, str] = {}

    def make(
        self,
        name: str,
        *scopes: Scope,
        expires_at: datetime | None = None,
        requests_per_second: float | None = None,
    ) -> str:
        """The text of a new key."""
        key, text = make_key(
            name,
            frozenset(scopes),
            datetime.now(UTC),
            expires_at=expires_at,
            requests_per_second=requests_per_second,
        )
        with self._file.changing() as keys:
            keys[key.key_id] = key
        self._ids[name] = key.key_id
        return text

    def change(self, name: str, **changes: Any) -> None:
        with self._file.changing() as keys:
            keys[self._ids[name]] = replace(keys[self._ids[name]], **changes)

    def revoke(self, name: str) -> None:
        self.change(name, revoked_at=datetime.now(UTC))

    def change_secret(self, name: str) -> None:
        self.change(name, digest=digest_of(secrets.token_urlsafe(32)))

    def remove(self, name: str) -> None:
        with self._file.changing() as keys:
            del keys[self._ids[name]]

    def authenticator(
        self,
        *,
        anonymous: bool = False,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> Authenticator:
        file = KeyFile(self.path, monotonic=monotonic)
        return Authenticator(file, anonymous=anonymous, now=now, monotonic=monotonic)


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}
