"""Dead letters of the verdicts topic: records that were set aside, unchanged, until a person replays or discards them.

Each is a file of its own, and only the newest are kept: whoever can write to the topic must not fill the disk.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson

from shared.contracts.topics import MAX_RECORD_BYTES
from shared.errors import NotFound
from shared.files import read_regular, write_atomic
from shared.messaging.interfaces import Message, Partition
from shared.observability.logs import get_logger

_log = get_logger(__name__)
MAX_LETTERS = 100
MAX_VALUE_BYTES = 1 << 20  # a verdict has a few kilobytes
_MAX_FILE_BYTES = 2 * MAX_RECORD_BYTES
_NAME = re.compile("[0-9a-f]{16}")


@dataclass(frozen=True)
class DeadVerdict:
    """A record that was set aside: `name` it has in commands, when and why, and the verdict's own words, unchecked."""

    name: str
    refused_at: str
    detail: str
    model: str
    verdict_id: str
    message: Message

    def to_json(self) -> dict[str, Any]:
        """What people are shown."""
        return {
            "id": self.name,
            "refused_at": self.refused_at,
            "model": self.model,
            "verdict_id": self.verdict_id,
            "detail": self.detail,
            "partition": self.message.partition.number,
            "offset": self.message.offset,
        }


class VerdictDeadLetters:
    """The dead letters below `folder`, which is made with the first of them."""

    def __init__(self, folder: Path, clock: Callable[[], datetime]) -> None:
        self._folder = folder
        self._clock = clock

    def add(self, message: Message, detail: str) -> None:
        """Keep a record. Where it cannot be kept it is lost but for the log: the verdicts after it must not wait."""
        place = message.partition
        identity = (place.topic, place.number, message.offset, sha256(message.value).hexdigest())
        name = sha256(repr(identity).encode()).hexdigest()[:16]
        document = {
            "refused_at": self._clock().isoformat(),
            "detail": detail,
            "topic": place.topic,
            "partition": place.number,
            "offset": message.offset,
            "key": _text(message.key),
            "value": _text(message.value),
            "headers": [[header, _text(value)] for header, value in message.headers],
        }
        if len(message.value) > MAX_VALUE_BYTES:
            _log.error("verdict_too_large_to_be_kept", offset=message.offset, bytes=len(message.value))
            return
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomic(self._folder / f"{name}.json", orjson.dumps(document))
            kept = sorted(self._folder.glob("*.json"), key=_written, reverse=True)
            for old in kept[MAX_LETTERS:]:
                old.unlink(missing_ok=True)
        except OSError as error:
            _log.error("verdict_not_kept", offset=message.offset, problem=str(error))

    def read(self, name: str) -> DeadVerdict:
        """One of them. Raises NotFound."""
        if _NAME.fullmatch(name) is None:
            raise _unknown(name)
        try:
            stored = orjson.loads(
                read_regular(self._folder / f"{name}.json", maximum_bytes=_MAX_FILE_BYTES, root=self._folder)
            )
            message = Message(
                Partition(stored["topic"], stored["partition"]),
                stored["offset"],
                _bytes(stored["key"]),
                _bytes(stored["value"]) or b"",
                [(header, _bytes(value)) for header, value in stored["headers"]],  # type: ignore[misc]
            )
            claims = _claims(message.value)
            return DeadVerdict(name, stored["refused_at"], stored["detail"], *claims, message)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise _unknown(name) from error

    def remove(self, name: str) -> None:
        """Forget one of them. Raises NotFound."""
        self.read(name)
        (self._folder / f"{name}.json").unlink(missing_ok=True)

    def newest_first(self) -> list[DeadVerdict]:
        """All of them."""
        found = []
        for path in self._folder.glob("*.json"):
            try:
                found.append(self.read(path.stem))
            except NotFound:  # another file, or removed meanwhile
                continue
        return sorted(found, key=lambda one: (one.refused_at, one.message.offset), reverse=True)


def _written(path: Path) -> int:
    """When a file was written; one that a request removed meanwhile is the oldest."""
    try:
        return path.lstat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _claims(value: bytes) -> tuple[str, str]:
    """The model and id that a record names, for people only: it may be anything."""
    try:
        document = orjson.loads(value)
        return str(document["model"])[:80], str(document["verdict_id"])[:80]
    except (ValueError, KeyError, TypeError):
        return "", ""


def _text(content: bytes | None) -> str | None:
    return None if content is None else base64.b64encode(content).decode()


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text, validate=True)


def _unknown(name: str) -> NotFound:
    return NotFound(
        f"there is no dead letter {name[:80]} of a verdict",
        hint="homeostat verdicts dead-letters list",
    )
