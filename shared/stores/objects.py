"""The files of the model store: list, read and create. A local folder is read here, an object store through obstore.

obstore lists a local folder only if every name in it is UTF-8 without control characters, follows symbolic links, and opens
whatever is at a path: a FIFO would block the reader for ever.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, ObjectStore

from shared.errors import DependencyUnavailable, IntegrityError
from shared.files import UnusableFile, list_folder, read_regular
from shared.stores.certificate_hint import certificate_hint


class Objects(Protocol):
    """Names are paths below the store's root, with `/`. Methods raise DependencyUnavailable where the store cannot be read."""

    def folders(self, folder: str) -> list[str]:
        """Names of the folders in a folder; `` is the root."""
        ...

    def files(self, folder: str) -> list[str]:
        """Names of everything in a folder that is not a folder, also of what cannot be read."""
        ...

    def read(self, name: str, maximum_bytes: int) -> bytes:
        """Raises FileNotFoundError, and IntegrityError for what is not a file of at most `maximum_bytes`."""
        ...

    def create(self, name: str, content: bytes) -> bool:
        """Put if absent: False where the name exists. Of several writers exactly one wins."""
        ...


def objects_of(store: ObjectStore) -> Objects:
    """The objects of a store."""
    if isinstance(store, LocalStore) and store.prefix is not None:
        return FolderObjects(Path(store.prefix), store)
    return StoredObjects(store)


class StoredObjects:
    """The objects of an object store, or of memory."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def folders(self, folder: str) -> list[str]:
        """Names of the folders in a folder."""
        return sorted(path.rstrip("/").rsplit("/", 1)[-1] for path in self._list(folder)["common_prefixes"])

    def files(self, folder: str) -> list[str]:
        """Names of the objects in a folder."""
        return sorted(entry["path"].rsplit("/", 1)[-1] for entry in self._list(folder)["objects"])

    def read(self, name: str, maximum_bytes: int) -> bytes:
        """The object's content."""
        try:
            found = obstore.get(self._store, name)
            if found.meta["size"] > maximum_bytes:
                raise IntegrityError(f"{name} of the model store is larger than {maximum_bytes} bytes")
            return bytes(found.bytes())
        except ValueError as error:  # a name that cannot be a path, such as `..`
            raise FileNotFoundError(name) from error
        except BaseError as error:
            raise _unavailable(error) from error

    def create(self, name: str, content: bytes) -> bool:
        """Put if absent."""
        return _create(self._store, name, content)

    def _list(self, folder: str) -> Any:
        try:
            return obstore.list_with_delimiter(self._store, prefix=f"{folder}/" if folder else "")
        except BaseError as error:
            raise _unavailable(error) from error


class FolderObjects:
    """The files below a local folder. Symbolic links are listed and not followed."""

    def __init__(self, root: Path, store: LocalStore) -> None:
        """`store` writes to the same folder."""
        self._root = root
        self._store = store

    def folders(self, folder: str) -> list[str]:
        """Names of the folders in a folder."""
        return self._names(folder, folders=True)

    def files(self, folder: str) -> list[str]:
        """Names of everything in a folder that is not a folder."""
        return self._names(folder, folders=False)

    def read(self, name: str, maximum_bytes: int) -> bytes:
        """The file's content."""
        if any(part in ("", ".", "..") for part in name.split("/")):
            raise FileNotFoundError(name)
        try:
            return read_regular(self._root / name, maximum_bytes=maximum_bytes, root=self._root)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise FileNotFoundError(name) from error
        except UnusableFile as error:
            raise IntegrityError(
                f"{name} of the model store cannot be read: {error.strerror}",
                hint="remove it, or restore the file from a backup",
            ) from error
        except OSError as error:
            raise _unavailable(f"{name}: {error.strerror}") from error

    def create(self, name: str, content: bytes) -> bool:
        """Put if absent."""
        return _create(self._store, name, content)

    def _names(self, folder: str, *, folders: bool) -> list[str]:
        try:
            entries = list_folder(self._root / folder, root=self._root)
        except OSError as error:
            raise _unavailable(f"{folder or self._root}: {error.strerror}") from error
        return sorted(name for name, is_folder in entries.items() if is_folder == folders)


def _create(store: ObjectStore, name: str, content: bytes) -> bool:
    try:
        obstore.put(store, name, content, mode="create")
    except AlreadyExistsError:
        return False
    except BaseError as error:
        raise DependencyUnavailable(f"the model store did not store {name}: {error}") from error
    return True


def _unavailable(problem: object) -> DependencyUnavailable:
    return DependencyUnavailable(
        f"the model store does not respond: {problem}", hint=certificate_hint(str(problem))
    )
