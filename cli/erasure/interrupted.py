"""Erasures that have not finished, with the versions that each had found: `erasures.unfinished.json` in the home (mode 0600).

What is removed shows no more which versions were trained on it, so the next erasure of the same subject reads them here. A
subject is recognised by a salted scrypt digest, never stored itself; the digest is removed when an erasure of it finishes.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import orjson

from shared.errors import OperatorError
from shared.files import read_regular, write_atomic

NAME: Final = "erasures.unfinished.json"
_MAX_BYTES = 16 << 20


@dataclass(frozen=True)
class Interrupted:
    """`models`: those that no later erasure of the subject has finished. Versions are named `<model> <short version>`."""

    salt: str
    digest: str
    models: tuple[str, ...]
    references: tuple[str, ...]
    trained: tuple[str, ...]

    def without(self, models: Collection[str]) -> Interrupted:
        """What remains after an erasure of these models."""
        return Interrupted(
            self.salt,
            self.digest,
            tuple(one for one in self.models if one not in models),
            tuple(one for one in self.references if _model_of(one) not in models),
            tuple(one for one in self.trained if _model_of(one) not in models),
        )


class InterruptedErasures:
    """Those of one subject. Raises OperatorError where the file cannot be read, OSError where it cannot be written."""

    def __init__(self, home: Path, subject: str) -> None:
        self._path = home / NAME
        self._subject = subject.encode()
        read = self._read()
        self._ours = [one for one in read if _digest(self._subject, one.salt) == one.digest]
        self._others = [one for one in read if one not in self._ours]

    def references(self, models: Collection[str]) -> set[str]:
        """Versions of these models whose reference data hold rows of the subject, as erasures before this one had found."""
        return {name for one in self._ours for name in one.references if _model_of(name) in models}

    def trained(self, models: Collection[str]) -> set[str]:
        """The same, of versions that were or may have been trained on its rows."""
        return {name for one in self._ours for name in one.trained if _model_of(name) in models}

    def begin(self, models: Iterable[str], references: Iterable[str], trained: Iterable[str]) -> None:
        """Keep, durably, what an erasure has found before it removes anything."""
        salt = secrets.token_hex(16)
        digest = _digest(self._subject, salt)
        self._ours.append(Interrupted(salt, digest, tuple(models), tuple(references), tuple(trained)))
        self._write()

    def finish(self, models: Collection[str]) -> None:
        """Forget what has been completed."""
        self._ours = [left for one in self._ours if (left := one.without(models)).models]
        self._write()

    def _read(self) -> list[Interrupted]:
        try:
            entries = orjson.loads(read_regular(self._path, maximum_bytes=_MAX_BYTES))
            return [
                Interrupted(
                    one["salt"],
                    one["digest"],
                    *(tuple(one[name]) for name in ("models", "references", "trained")),
                )
                for one in entries
            ]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise OperatorError(
                f"{self._path} cannot be read: {error}",
                hint="repair it, or delete it: `found` in erasures.jsonl names the versions that earlier erasures had found",
            ) from error

    def _write(self) -> None:
        entries = [*self._others, *self._ours]
        if entries:
            write_atomic(self._path, orjson.dumps([asdict(one) for one in entries]), durable=True, mode=0o600)
        else:
            self._path.unlink(missing_ok=True)


def _digest(subject: bytes, salt: str) -> str:
    return hashlib.scrypt(subject, salt=bytes.fromhex(salt), n=1 << 14, r=8, p=1).hex()


def _model_of(version: str) -> str:
    return version.partition(" ")[0]
