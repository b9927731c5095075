"""Atomic file writes: a reader sees the old content or the new, never half of it, also after a crash."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex


def write_atomic(path: Path, content: bytes, *, durable: bool = False, mode: int | None = None) -> None:
    """Replace the file at `path` with `content`. Raises OSError and leaves the old file in place.

    `durable`: the content is on the disk when this returns, so it survives a power cut. `mode`: exact permissions of the new
    file; None leaves them to the umask.
    """
    with atomic_path(path, durable=durable) as temporary:
        _write_new(temporary, content, mode)


def create_atomic(path: Path, content: bytes, *, durable: bool = False, mode: int | None = None) -> bool:
    """Write `content` to `path` unless a file exists there; False where one does. Of several writers exactly one wins."""
    temporary = _temporary(path)
    try:
        _write_new(temporary, content, mode)
        if durable:
            _sync(temporary)
        os.link(temporary, path)
        if durable:
            _sync(path.parent)
    except FileExistsError:
        return False
    finally:
        temporary.unlink(missing_ok=True)
    return True


@contextmanager
def atomic_path(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """A temporary path beside `path`, for libraries that write the file themselves.

    The file written there replaces the one at `path` when the block ends, and is removed when the block raises. Its name starts
    with a dot: a killed process may leave it behind.
    """
    temporary = _temporary(path)
    try:
        yield temporary
        if durable:
            _sync(temporary)
        os.replace(temporary, path)
        if durable:
            _sync(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _temporary(path: Path) -> Path:
    # Process ids are not unique where containers share a volume.
    return path.with_name(f".{path.name}.{token_hex(8)}")


def _write_new(path: Path, content: bytes, mode: int | None) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 if mode is None else mode)
    with os.fdopen(descriptor, "wb") as file:
        if mode is not None:
            os.fchmod(descriptor, mode)  # the umask may have removed some permissions
        file.write(content)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
