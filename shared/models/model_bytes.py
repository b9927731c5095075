"""The bytes of a model's file, which a training command or a user has put in a folder."""

from __future__ import annotations

from pathlib import Path

from shared.errors import UnservableModel
from shared.files import UnusableFile, read_regular

# A model is loaded into memory as a whole.
MAX_MODEL_BYTES = 16 << 30


def read_model(path: Path) -> bytes:
    """The content of a model's file. Raises UnservableModel for anything but a regular file, OSError if it cannot be read."""
    try:
        return read_regular(path, maximum_bytes=MAX_MODEL_BYTES)
    except UnusableFile as error:
        raise UnservableModel(
            f"{path} cannot be loaded: {error.strerror}", hint="put a copy of the file there"
        ) from error
