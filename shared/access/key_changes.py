"""What `homeostat keys` does to the file of keys: create, rotate, revoke."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from shared.access.api_key import KEY_NAME, ApiKey, make_key
from shared.access.caller import ANONYMOUS
from shared.access.scope import Scope
from shared.errors import Conflict, InvalidRequest, NotFound

MAXIMUM_KEYS = 10_000
_LISTED = 10  # names in an error message
# Names under which the ledger records what nobody did by a key.
RESERVED = frozenset({ANONYMOUS.name, "loop", "drift", "alert", "unknown"})


def create_key(
    keys: dict[str, ApiKey],
    name: str,
    scopes: frozenset[Scope],
    now: datetime,
    *,
    expires_at: datetime | None = None,
    requests_per_second: float | None = None,
) -> tuple[ApiKey, str]:
    """Add a key; returns it and its text. Raises InvalidRequest for a malformed name, Conflict if a valid key has it.

    A name stands for one person or program: the ledger records it.
    """
    if KEY_NAME.fullmatch(name) is None or name in RESERVED:
        raise InvalidRequest(
            f"{name[:80]!r} cannot be the name of a key",
            field="name",
            hint="a name has 1 to 64 letters, digits, dots, dashes, underscores or @",
            expected=f"1 to 64 letters, digits, dots, dashes, underscores or @, other than {', '.join(sorted(RESERVED))}",
        )
    if valid_keys(keys, name, now):
        raise Conflict(
            f"there is a valid key {name} already",
            hint=f"`homeostat keys rotate {name}` replaces it; `homeostat keys revoke {name}` ends it",
        )
    if len(keys) >= MAXIMUM_KEYS:
        raise Conflict(f"there are {len(keys)} keys", hint="remove ended keys from the file of keys")
    key, text = make_key(name, scopes, now, expires_at=expires_at, requests_per_second=requests_per_second)
    keys[key.key_id] = key
    return key, text


def rotate_key(
    keys: dict[str, ApiKey], name: str, now: datetime, *, ends_at: datetime
) -> tuple[ApiKey, ApiKey, str]:
    """Add a key with name, scopes and rate of a valid one, which expires at `ends_at`; the old one, the new one and its text.

    Raises NotFound, Conflict.
    """
    old = _only(keys, name, now)
    lifetime = old.expires_at - old.created_at if old.expires_at else None
    key, text = make_key(
        old.name,
        old.scopes,
        now,
        expires_at=now + lifetime if lifetime else None,
        requests_per_second=old.requests_per_second,
    )
    ends_at = min(ends_at, old.expires_at) if old.expires_at else ends_at
    keys[old.key_id] = replace(old, expires_at=ends_at)
    keys[key.key_id] = key
    return keys[old.key_id], key, text


def revoke_keys(keys: dict[str, ApiKey], name: str, now: datetime) -> list[ApiKey]:
    """End every valid key with a name or id at once. Raises NotFound."""
    found = valid_keys(keys, name, now)
    if not found:
        raise _no_key(keys, name, now)
    for key in found:
        keys[key.key_id] = replace(key, revoked_at=now)
    return [keys[key.key_id] for key in found]


def valid_keys(keys: dict[str, ApiKey], name: str, now: datetime) -> list[ApiKey]:
    """The keys with a name or id that are accepted now."""
    return [key for key in keys.values() if name in (key.name, key.key_id) and not key.problem(now)]


def _no_key(keys: dict[str, ApiKey], name: str, now: datetime) -> NotFound:
    names = sorted({key.name for key in keys.values() if not key.problem(now)})
    shown = ", ".join(names[:_LISTED]) + (", …" if len(names) > _LISTED else "")
    more = "`homeostat keys list --all` also shows those that have ended"
    return NotFound(
        f"there is no valid key {name[:80]}", hint=f"valid keys: {shown}; {more}" if names else more
    )


def _only(keys: dict[str, ApiKey], name: str, now: datetime) -> ApiKey:
    found = valid_keys(keys, name, now)
    if not found:
        raise _no_key(keys, name, now)
    if len(found) > 1:
        found.sort(key=lambda key: key.created_at)
        *older, newest = (key.key_id for key in found)
        raise Conflict(
            f"{len(found)} valid keys are named {name}: {', '.join(older)}, and the newest {newest}",
            hint=f"`homeostat keys rotate {newest}` replaces the newest; `homeostat keys revoke {older[0]}` ends an old one",
        )
    return found[0]
