"""The checkpoint: how far a writer's folder has been shipped, kept in a file."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import orjson

from shared.files import read_regular, write_atomic

_FILE = "checkpoint.json"


class Position(NamedTuple):
    """A position in a writer's folder: everything before byte `offset` of that segment."""

    epoch: int = 0
    number: int = 0
    offset: int = 0


def read_checkpoint(folder: Path) -> Position:
    """The stored position; the start where none can be read: everything is shipped again, and the sink skips it."""
    try:
        content = orjson.loads(read_regular(folder / _FILE, maximum_bytes=1 << 20))
        return Position(int(content["epoch"]), int(content["number"]), int(content["offset"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Position()


def write_checkpoint(folder: Path, position: Position) -> None:
    """Store the position. Raises OSError and keeps the old one."""
    write_atomic(
        folder / _FILE,
        orjson.dumps({"epoch": position.epoch, "number": position.number, "offset": position.offset}),
    )
