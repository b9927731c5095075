"""A Delta table whose local files Arrow reads itself.

deltalake gives Arrow a file system in Python. Arrow's threads may still hold files of it when the interpreter ends, most often
where a scan stops early; a thread that then calls Python ends the process with SIGABRT or SIGSEGV, after the right result.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from deltalake import DeltaTable
from deltalake.fs import DeltaStorageHandler
from pyarrow import fs

if TYPE_CHECKING:  # it imports pandas, which the services do not need at their start
    from pyarrow import dataset as ds


class LakeTable(DeltaTable):
    """The table at a location, a folder or the URL of one in an object store."""

    def __init__(self, location: str, version: int | None = None) -> None:
        super().__init__(location, version=version)
        # Of an object store, deltalake knows the sizes of the files: none of them is asked for.
        self._local = _local_files(location)

    def to_pyarrow_dataset(self, *arguments: Any, **options: Any) -> ds.Dataset:
        """As of DeltaTable; files of a local table are read without Python."""
        if options.get("filesystem") is None and len(arguments) < 2:
            options["filesystem"] = self._local
        return super().to_pyarrow_dataset(*arguments, **options)


def files_of(location: str) -> fs.FileSystem:
    """The files of the table there, by paths below it."""
    return _local_files(location) or fs.PyFileSystem(DeltaStorageHandler(location))


def _local_files(location: str) -> fs.FileSystem | None:
    if location.startswith("file://"):
        local, folder = fs.FileSystem.from_uri(location)
        return fs.SubTreeFileSystem(folder, local)
    if "://" in location:
        return None
    return fs.SubTreeFileSystem(str(Path(location).absolute()), fs.LocalFileSystem())
