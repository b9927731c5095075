"""API keys in memory, and an authenticator of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

from shared.access.api_key import ApiKey, make_key
from shared.access.authenticator import Authenticator
from shared.access.scope import Scope

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ALL = frozenset(Scope)


class FakeKeys:
    """Keys by id, as a KeyFile has them. `broken`: what reading them raises."""

    def __init__(self) -> None:
        self.keys: dict[str, ApiKey] = {}
        self.broken: Exception | None = None

    def find(self, key_id: str) -> ApiKey | None:
        """The key with an id."""
        if self.broken is not None:
            raise self.broken
        return self.keys.get(key_id)

    def add(self, name: str = "local", scopes: frozenset[Scope] = ALL) -> str:
        """Add a key; its text."""
        key, text = make_key(name, scopes, NOW)
        self.keys[key.key_id] = key
        return text

    def revoke(self, name: str) -> None:
        """Revoke all keys of a name."""
        for key_id, key in self.keys.items():
            if key.name == name:
                self.keys[key_id] = replace(key, revoked_at=NOW)

    def authenticator(self, *, anonymous: bool = True, **given: Any) -> Authenticator:
        """An authenticator of these keys."""
        return Authenticator(cast(Any, self), anonymous=anonymous, now=lambda: NOW, **given)
