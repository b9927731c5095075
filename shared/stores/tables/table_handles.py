"""Opens Delta tables, and keeps the newest handle of each: a look at a table without news costs two look-ups of a file.

Opening a table lists its log, so it costs more with every commit that the log holds. A kept handle of version N is the newest one
if the log still has the same entry N, and no entry N + 1. Clean-up of the log deletes entries from the oldest on, so a
handle that missed the entry N + 1 also misses its own; a table that was made anew has another entry N.

A handle is never moved to another version: who has one reads the same rows from it, whatever is committed meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from threading import Lock

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from pyarrow import fs

from shared.stores.tables.lake_table import LakeTable, files_of

# An entry of the log: when it was written, and its size.
Entry = tuple[datetime | None, int | None]


@dataclass(frozen=True)
class _Kept:
    table: DeltaTable
    files: fs.FileSystem
    entry: Entry | None

    def is_newest(self) -> bool:
        version = self.table.version()
        own, following = self.files.get_file_info([_entry_path(version), _entry_path(version + 1)])
        return self.entry is not None and _entry_of(own) == self.entry and _entry_of(following) is None


class TableHandles:
    """The newest handle of each table that was opened. Safe to call from several threads."""

    def __init__(self) -> None:
        self._kept: dict[str, _Kept] = {}
        self._lock = Lock()

    def newest(self, location: str) -> DeltaTable | None:
        """The table there at its newest version; None where nothing was written yet."""
        kept = self._kept.get(location)
        if kept is not None and _is_newest(kept):
            return kept.table
        with self._lock:
            return self._open(location, before=kept)

    def at(self, location: str, version: int) -> DeltaTable | None:
        """The kept handle, if it is of that version."""
        kept = self._kept.get(location)
        return kept.table if kept is not None and kept.table.version() == version else None

    def _open(self, location: str, before: _Kept | None) -> DeltaTable | None:
        kept = self._kept.get(location)
        if kept is not None and kept is not before and _is_newest(kept):
            return kept.table  # another thread has opened it meanwhile
        if not DeltaTable.is_deltatable(location):
            self._kept.pop(location, None)
            return None
        table, files = LakeTable(location), files_of(location)
        entry = _entry_of(files.get_file_info([_entry_path(table.version())])[0])
        self._kept[location] = _Kept(table, files, entry)
        return table


def _is_newest(kept: _Kept) -> bool:
    try:
        return kept.is_newest()
    except (DeltaError, OSError):
        return False  # opening it says what is wrong


def _entry_path(version: int) -> str:
    return f"_delta_log/{version:020}.json"


def _entry_of(found: fs.FileInfo) -> Entry | None:
    return (found.mtime, found.size) if found.type == fs.FileType.File else None
