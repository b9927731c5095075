"""The file of API keys: read by every service, changed by `homeostat keys`.

A change is seen by running services at their next request, at most a second later: they look at the file's identity, not at
its content. A file that cannot be read admits nobody.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from shared.access.api_key import ApiKey
from shared.access.key_log import append, changes, log_path
from shared.errors import OperatorError
from shared.file_lock import try_lock
from shared.files import read_regular, write_atomic

if TYPE_CHECKING:  # pydantic takes longer to import than a whole command may
    from shared.settings import HomeostatSettings

FILE_NAME: Final = "api_keys.json"
MAXIMUM_BYTES: Final = 8 << 20
LOOK_SECONDS: Final = 1.0
_LOCK_SECONDS = 10.0


class KeyFile:
    """The keys in one file. Safe to read from several threads."""

    def __init__(self, path: Path, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.path = path
        self._monotonic = monotonic
        self._looked_at = float("-inf")
        self._identity: object = ()
        self._problem = ""
        self._keys: Mapping[str, ApiKey] = {}
        self.generation = 0  # grows with each change that was seen

    def find(self, key_id: str) -> ApiKey | None:
        """The key with an id. Raises OperatorError where the file cannot be read."""
        self.refresh()
        return self._keys.get(key_id)

    def named(self, name: str) -> list[ApiKey]:
        """All keys with a name, also those that ended. Raises OperatorError where the file cannot be read."""
        self.refresh()
        return [key for key in self._keys.values() if key.name == name]

    def refresh(self) -> int:
        """Look whether the file has changed, at most once a second, and return the generation. Raises OperatorError."""
        now = self._monotonic()
        if now - self._looked_at >= LOOK_SECONDS:
            self._looked_at = now
            identity = _identity(self.path)
            if identity != self._identity:
                self._identity, self._problem = identity, ""
                self._keys = {}  # nobody is admitted by what a broken file held before
                self.generation += 1
                try:
                    self._keys = {key.key_id: key for key in read_keys(self.path)}
                except OperatorError as error:
                    self._identity = ()  # look again after the next second
                    self._problem = str(error)
                    _report(self._problem)
        if self._problem:
            # Whoever sends a request learns no more.
            raise OperatorError("the API keys of this service cannot be read", hint="its log says why")
        return self.generation

    @property
    def next_look(self) -> float:
        """The monotonic time from which on the next request looks at the file."""
        return self._looked_at + LOOK_SECONDS

    @contextmanager
    def changing(self) -> Iterator[dict[str, ApiKey]]:
        """The keys by id, to be changed: logged and written when the block ends. One process at a time. Raises OperatorError."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _locked(self.path.with_name(f".{self.path.name}.lock")):
            keys = {key.key_id: key for key in read_keys(self.path)}
            before = dict(keys)
            yield keys
            append(log_path(self.path), changes(before, keys), datetime.now(UTC))
            content = json.dumps({"keys": [key.to_json() for key in keys.values()]}, indent=1)
            write_atomic(self.path, content.encode() + b"\n", durable=True, mode=_mode(self.path))
        self._looked_at = float("-inf")


def key_file_path(settings: HomeostatSettings) -> Path:
    """Where the keys of an installation are."""
    return settings.api_keys or settings.home.absolute() / "keys" / FILE_NAME


def read_keys(path: Path) -> list[ApiKey]:
    """All keys in a file, oldest first; none where there is no file. Raises OperatorError for a file that is not one of keys."""
    try:
        content = read_regular(path, maximum_bytes=MAXIMUM_BYTES)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise OperatorError(
            f"the API keys {path} cannot be read: {error.strerror}",
            hint="give this process's user the right to read the file",
        ) from error
    try:
        return [ApiKey.from_json(entry) for entry in json.loads(content)["keys"]]
    except (KeyError, TypeError, ValueError) as error:
        raise OperatorError(
            f"the API keys {path} are malformed: {error}",
            hint="restore the file from a backup, or remove it and make new keys with `homeostat keys create`",
        ) from error


def _report(problem: str) -> None:
    from shared.observability.logs import get_logger  # commands must not wait for it

    get_logger(__name__).error("api_keys_unreadable", problem=problem)


def _identity(path: Path) -> object:
    with suppress(OSError):
        status = path.stat()
        return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
    return None


def _mode(path: Path) -> int:
    """Private, unless an operator has let others read it: it holds digests only."""
    with suppress(OSError):
        return path.stat().st_mode & 0o644
    return 0o600


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    ends = time.monotonic() + _LOCK_SECONDS
    while (descriptor := try_lock(path)) is None:
        if time.monotonic() > ends:
            raise OperatorError(f"{path} is locked by another process", hint="try again when it has ended")
        time.sleep(0.02)
    try:
        yield
    finally:
        os.close(descriptor)
