"""How far a writer's folder has been shipped: a position kept in a file that is replaced whole."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import orjson

from shared.files import write_atomic

_FILE = "checkpoint.json"


@dataclass(frozen=True, order=True)
class Position:
    """A place in a writer's folder: everything before byte `offset` of that segment."""

    epoch: int = 0
    number: int = 0
    offset: int = 0


def read_checkpoint(folder: Path) -> Position:
    """The position kept; the very start where there is none or it cannot be read: that ships again, and the sink skips it."""
    try:
        content = orjson.loads((folder / _FILE).read_bytes())
        return Position(int(content["epoch"]), int(content["number"]), int(content["offset"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Position()


def write_checkpoint(folder: Path, position: Position) -> None:
    """Keep the position. Raises OSError, leaving the old one in place."""
    write_atomic(
        folder / _FILE,
        orjson.dumps({"epoch": position.epoch, "number": position.number, "offset": position.offset}),
    )
