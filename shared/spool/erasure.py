"""Blanks the personal values of rows on the spool, in place: every record keeps its length, sequence and place.

Readers find their position by bytes, so nothing may move. A folder that a server writes to is only read: its rows are in the lake
soon, or remain in its newest segment until that is full or the server has stopped.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from math import prod
from pathlib import Path
from typing import Any

import orjson
from isal.isal_zlib import crc32

from shared.file_lock import try_lock
from shared.files import write_atomic
from shared.spool.lock import LOCK_FILE
from shared.spool.record import FRAME, MAGIC, OPTIONS, PREFIX
from shared.spool.scan import scan
from shared.spool.segment import list_segments

_MODE = 0o600
_NUMBER_BYTES = 4  # of tensors
# Of a model's row: the number of the row and the record's head; whether it is the subject's.
Match = Callable[[int, dict[str, Any]], bool]
# The personal features of a model, in lower case.
Personal = Callable[[str], frozenset[str]]


def erase_in_spool(root: Path, match: Match, personal: Personal, *, dry_run: bool) -> tuple[int, int]:
    """Numbers of rows that were blanked, and of those that remain because a server writes to their folder. Raises OSError."""
    blanked = remaining = 0
    for folder in sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []:
        lock = try_lock(folder / LOCK_FILE, mode=_MODE)
        try:
            for segment, _ in list_segments(folder):
                path = folder / segment.filename
                try:
                    content = bytearray(path.read_bytes())
                except FileNotFoundError:
                    continue  # shipped and deleted in the meantime
                rows = sum(_blank(content, start, end, match, personal) for start, end in _records(content))
                if lock is None:
                    remaining += rows
                    continue
                blanked += rows
                if rows and not dry_run:
                    write_atomic(path, bytes(content), durable=True, mode=_MODE)
        finally:
            if lock is not None:
                os.close(lock)
    return blanked, remaining


def _records(content: bytearray) -> Iterator[tuple[int, int]]:
    yield from scan(bytes(content), at_end=True, final=True).payloads


def _blank(content: bytearray, start: int, end: int, match: Match, personal: Personal) -> int:
    """Blank the matching rows of one payload; how many."""
    _, length = PREFIX.unpack_from(content, start)
    begin = start + PREFIX.size
    head = orjson.loads(content[begin : begin + length])
    if head.get("kind") != "predictions":
        return 0
    rows = [row for row in range(len(head["ids"])) if match(row, head)]
    if not rows:
        return 0
    names = personal(head["model"])
    columns = [values for name, values in head["columns"].items() if name.casefold() in names]
    columns += [head["keys"]] if head.get("keys") else []
    for column in columns:
        for row in rows:
            column[row] = _blank_of(column[row])
    text = orjson.dumps(head, option=OPTIONS)
    # Every blank value is at most as long as any of its type, and JSON may end with spaces.
    content[begin : begin + length] = text.ljust(length)
    place = begin + length
    for name, (count, *shape) in head["tensors"]:
        size = _NUMBER_BYTES * prod(shape)
        for row in rows if name.casefold() in names else ():
            content[place + row * size : place + (row + 1) * size] = bytes(size)
        place += count * size
    content[start - FRAME.size : start] = FRAME.pack(MAGIC, end - start, crc32(bytes(content[start:end])))
    return len(rows)


def _blank_of(value: Any) -> Any:
    if isinstance(value, str):
        return ""
    return 0 if isinstance(value, int | float) and not isinstance(value, bool) else None
