"""Files: atomic writes, and bounded reads of files that somebody else may have put there.

A reader of an atomic write sees the old content or the new, never half of it, also after a crash. A bounded read never waits:
a FIFO has no end, a device is no file, and a symbolic link can point to any file that the process may read.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO


class UnusableFile(OSError):
    """There is something at the path that must not be read: no regular file, a symbolic link, or too large a file."""


def keep_files_private() -> None:
    """From now on, files and folders that this process and its children create are readable by their user only.

    For entry points. The files of a service are logged rows, outcomes, keys and models.
    """
    os.umask(0o077)


def read_regular(path: Path, *, maximum_bytes: int, root: Path | None = None) -> bytes:
    """The content of a regular file. Raises OSError, and UnusableFile for anything else at the path.

    `root`: a folder above the file; symbolic links below it are refused, also in the folders between.
    """
    with open_regular(path, maximum_bytes=maximum_bytes, root=root) as file:
        # Memory is taken for what is there, not for what would be allowed; and the file may have grown since it was opened.
        content = file.read(min(maximum_bytes, os.fstat(file.fileno()).st_size) + 1)
        while len(content) <= maximum_bytes and (more := file.read(1 << 20)):
            content += more
    if len(content) > maximum_bytes:
        raise _too_large(path, maximum_bytes)
    return content


def copy_regular(source: Path, target: Path, *, maximum_bytes: int, root: Path | None = None) -> None:
    """Copy a regular file to the new or existing file `target`. Raises OSError, and UnusableFile as `read_regular` does."""
    with open_regular(source, maximum_bytes=maximum_bytes, root=root) as file, target.open("wb") as copy:
        shutil.copyfileobj(file, copy, 1 << 20)


def open_regular(path: Path, *, maximum_bytes: int | None = None, root: Path | None = None) -> BinaryIO:
    """A regular file, open for reading. Raises as `read_regular` does. `maximum_bytes` None: of any size."""
    descriptor = _open_below(path, root, os.O_RDONLY | os.O_NONBLOCK)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise UnusableFile(errno.EINVAL, "it is not a regular file", str(path))
        if maximum_bytes is not None and status.st_size > maximum_bytes:
            raise _too_large(path, maximum_bytes)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def list_folder(path: Path, *, root: Path) -> dict[str, bool]:
    """Names in a folder at or below `root`, and whether each is a folder; empty where there is no folder.

    Raises OSError, and UnusableFile where the folder is, or is below, a symbolic link. Links to folders in it count as folders.
    """
    try:
        descriptor = _open_below(path, root, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return {}
    try:
        with os.scandir(descriptor) as entries:
            return {entry.name: entry.is_dir() for entry in entries}
    finally:
        os.close(descriptor)


def _open_below(path: Path, root: Path | None, flags: int) -> int:
    """Open `path` without following a symbolic link: at its end, and in the folders below `root`."""
    if root is None:
        return _open_no_link(path, None, flags)
    at = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    names = path.relative_to(root).parts
    for number, name in enumerate(names, 1):
        try:
            below = _open_no_link(name, at, flags if number == len(names) else os.O_RDONLY | os.O_DIRECTORY)
        finally:
            os.close(at)
        at = below
    return at


def _open_no_link(name: Path | str, folder: int | None, flags: int) -> int:
    try:
        return os.open(name, flags | os.O_NOFOLLOW, dir_fd=folder)
    except ValueError as error:  # NUL in the name
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(name)) from error
    except OSError as error:
        # ENOTDIR: a link where a folder is expected.
        if error.errno == errno.ELOOP or (error.errno == errno.ENOTDIR and _is_link(name, folder)):
            raise UnusableFile(error.errno, "it is a symbolic link, or below one", str(name)) from error
        raise


def _is_link(name: Path | str, folder: int | None) -> bool:
    return stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)


def _too_large(path: Path, maximum_bytes: int) -> UnusableFile:
    return UnusableFile(errno.EFBIG, f"it is larger than {maximum_bytes} bytes", str(path))


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
