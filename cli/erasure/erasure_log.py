"""The log of erasures, `erasures.jsonl` in the home, for its owner only: what was removed when and by whom, never the subject.

An entry `started` is on the disk before anything is looked for, and one `found`, with the versions that may know the subject,
before anything is removed. Without `finished` the erasure was interrupted.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

NAME: Final = "erasures.jsonl"


def append(home: Path, erasure: str, state: str, details: Mapping[str, Any]) -> None:
    """Add an entry, durably. Raises OSError."""
    entry = {"at": datetime.now(UTC).isoformat(), "erasure": erasure, "state": state, **details}
    descriptor = os.open(home / NAME, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    try:
        os.write(descriptor, json.dumps(entry).encode() + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def unfinished(home: Path) -> frozenset[str]:
    """Models of erasures that began and did not finish: earlier versions of their tables may still be readable."""
    path = home / NAME
    if not path.exists():
        return frozenset()
    models: dict[str, frozenset[str]] = {}
    for line in path.read_text().splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue  # the entry of a process that was killed while it wrote
        if entry["state"] == "started":
            models[entry["erasure"]] = frozenset(entry["models"])
        elif entry["state"] == "finished":  # it also removed the old files of those before it
            models = {
                name: left for name, these in models.items() if (left := these - frozenset(entry["models"]))
            }
    return frozenset().union(*models.values())
