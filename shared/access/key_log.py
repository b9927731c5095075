"""The log of changes to the file of API keys, beside it: one JSON object per line, readable by its owner only.

1. An entry is on the disk before the change is: there may be an entry without a change, but no change without an entry.
2. A change that cannot be logged is not made.
3. Whoever can change the file of keys can change this one, too: it shows what the owners of the installation did.
"""

from __future__ import annotations

import json
import os
import pwd
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from shared.access.api_key import ApiKey
from shared.errors import OperatorError

SUFFIX: Final = ".log"


def log_path(key_file: Path) -> Path:
    """The log of a file of keys."""
    return key_file.with_name(f"{key_file.name}{SUFFIX}")


def changes(before: Mapping[str, ApiKey], after: Mapping[str, ApiKey]) -> list[dict[str, Any]]:
    """What was done: `create`, `rotate` with the id of the replaced key, `revoke`, `change`, or `remove`. Pure."""
    ended = {
        key_id: key
        for key_id, key in after.items()
        if key_id in before and key.expires_at != before[key_id].expires_at
    }
    found: list[dict[str, Any]] = []
    replaced: set[str] = set()
    for key_id, key in after.items():
        old = before.get(key_id)
        if old is None:
            rotated = next((one for one in ended.values() if one.name == key.name), None)
            replaced.update({rotated.key_id} if rotated else ())
            more = {"replaces": rotated.key_id} if rotated else {}
            found.append(_entry("rotate" if rotated else "create", key) | more)
        elif key.revoked_at is not None and old.revoked_at is None:
            found.append(_entry("revoke", key))
        elif key != old and key_id not in replaced:
            found.append(_entry("change", key))
    rotations = {one.get("replaces") for one in found}
    found = [one for one in found if one["action"] != "change" or one["id"] not in rotations]
    return found + [_entry("remove", before[key_id]) for key_id in before.keys() - after.keys()]


def append(path: Path, entries: list[dict[str, Any]], now: datetime) -> None:
    """Add entries, with the time and the user of the operating system. Raises OperatorError."""
    if not entries:
        return
    who = {"time": now.isoformat(timespec="seconds"), "user": user_name()}
    lines = "".join(json.dumps({**who, **entry}) + "\n" for entry in entries)
    try:
        descriptor = os.open(
            path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
        )
        try:
            os.write(descriptor, lines.encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise OperatorError(
            f"the log of key changes {path} cannot be written: {error.strerror}; no key was changed",
            hint="give this user the right to write the file, or free space",
        ) from error


def read_log(path: Path) -> list[dict[str, Any]]:
    """All entries, oldest first; a line that is malformed is shown as it is. Raises OperatorError."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise OperatorError(
            f"the log of key changes {path} cannot be read: {error.strerror}",
            hint="run this as the user of the installation",
        ) from error
    return [_read_line(line) for line in lines]


def user_name() -> str:
    """The user that this process runs as, by the system and not by a variable of the environment."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _entry(action: str, key: ApiKey) -> dict[str, Any]:
    return {
        "action": action,
        "name": key.name,
        "id": key.key_id,
        "scopes": sorted(key.scopes),
        "expires_at": key.expires_at.isoformat(timespec="seconds") if key.expires_at else None,
    }


def _read_line(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {"malformed": line}
