"""The files of a Delta table for a writer of its own: data files, and entries of the log that are put if absent."""

from __future__ import annotations

from pathlib import Path

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from shared.errors import DependencyUnavailable
from shared.stores.certificate_hint import certificate_hint


class LogFiles:
    """The files of the table at `location`, which exists. Methods raise DependencyUnavailable where the store fails."""

    def __init__(self, location: str) -> None:
        self._store: ObjectStore = (
            from_url(location) if "://" in location else LocalStore(Path(location).resolve())
        )

    def put(self, path: str, content: bytes) -> None:
        """Write a data file; `path` is relative to the table."""
        try:
            obstore.put(self._store, path, content)
        except (BaseError, OSError) as error:
            raise _unavailable(error) from error

    def put_entry(self, version: int, content: bytes) -> bool:
        """Write the log's entry of that version, unless there is one. Of several writers exactly one wins."""
        try:
            obstore.put(self._store, entry_path(version), content, mode="create")
        except AlreadyExistsError:
            return False
        except (BaseError, OSError) as error:
            raise _unavailable(error) from error
        return True

    def has_entry(self, version: int) -> bool:
        """Whether the log has an entry of that version."""
        try:
            obstore.head(self._store, entry_path(version))
        except FileNotFoundError:
            return False
        except (BaseError, OSError) as error:
            raise _unavailable(error) from error
        return True


def entry_path(version: int) -> str:
    """The log's entry of a version, relative to the table."""
    return f"_delta_log/{version:020}.json"


def _unavailable(error: Exception) -> DependencyUnavailable:
    return DependencyUnavailable(f"the lake does not respond: {error}", hint=certificate_hint(str(error)))
