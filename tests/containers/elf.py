"""What a native library needs, read from the file itself: an image lacks what a developer's machine happens to have."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

_DYNAMIC = 6
_NEEDED = 1


def needed(path: Path) -> list[str]:
    """Names of the libraries a 64-bit ELF file asks the loader for; none where it is something else."""
    with path.open("rb") as file:
        head = file.read(64)
        if len(head) < 64 or head[:5] != b"\x7fELF\x02":
            return []
        (start,) = struct.unpack_from("<Q", head, 40)
        size, count = struct.unpack_from("<HH", head, 58)
        file.seek(start)
        table = file.read(size * count)
        # type, offset, size, and the number of the section with the names
        sections = [struct.unpack_from("<IIQQQQI", table, place * size) for place in range(count)]
        for section in sections:
            if section[1] == _DYNAMIC:
                entries, names = (
                    _read(file, found[4], found[5]) for found in (section, sections[section[6]])
                )
                pairs = struct.iter_unpack("<qQ", entries)
                return [names[at : names.index(b"\0", at)].decode() for tag, at in pairs if tag == _NEEDED]
    return []


def _read(file: BinaryIO, offset: int, size: int) -> bytes:
    file.seek(offset)
    return file.read(size)
