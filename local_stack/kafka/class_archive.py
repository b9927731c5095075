"""An archive of the broker's classes. Java maps it into memory instead of reading and checking each class again.

Java writes it into the folder of the jars, at the end of a broker that runs once for it (`recording.py`). The key in its name
changes with the jars and with the Java program. A damaged archive can crash Java, so the name also holds the sha256 of
the content, and only a file that matches is used. A Java that writes none is not asked again.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

SUFFIX = ".jsa"
# The end of the name of an empty file: this Java has written no archive of these jars.
_NONE = "none"
# Java does without an archive that does not fit, which is not worth a warning.
_QUIET = ("-Xshare:auto", "-Xlog:cds=off", "-Xlog:cds+dynamic=off", "-Xlog:class+path=off")


class ClassArchive:
    """The archive of one Java program and one class path, in `folder`."""

    def __init__(self, folder: Path, program: Path, classpath: Sequence[Path]) -> None:
        self._folder = folder
        self._prefix = f"classes-{_key(program, classpath)}-"

    def find(self) -> Path | None:
        """The archive, if there is one that is whole."""
        for path in sorted(self._folder.glob(f"{self._prefix}*{SUFFIX}")):
            with suppress(OSError):
                if path.name == self._name(path):
                    return path
        return None

    def reading(self) -> tuple[str, ...]:
        """Java's options to read the archive; none where there is none."""
        path = self.find()
        return () if path is None else (f"-XX:SharedArchiveFile={path}", *_QUIET)

    @contextmanager
    def writing(self) -> Iterator[tuple[str, ...]]:
        """Java's options to write the archive when it ends.

        None if there is an archive, if another process is writing it, if this Java wrote none before, or if the folder is not
        writable.
        """
        with ExitStack() as opened:
            try:
                held = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
                opened.callback(os.close, held)
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                needed = self.find() is None and not self._none.exists()
                if needed:
                    fresh = opened.enter_context(
                        tempfile.TemporaryDirectory(dir=self._folder, prefix=".classes-")
                    )
            except OSError:
                needed = False
            if not needed:
                yield ()
                return
            written = Path(fresh) / f"new{SUFFIX}"
            yield (f"-XX:ArchiveClassesAtExit={written}", *_QUIET)
            with suppress(OSError):
                self._keep(written)

    @property
    def _none(self) -> Path:
        return self._folder / f"{self._prefix}{_NONE}"

    def _keep(self, written: Path) -> None:
        """Move it to its name, and remove other archives. A running broker keeps the file it has open."""
        if written.exists():
            path = self._folder / self._name(written)
            os.replace(written, path)
        else:
            path = self._none
            path.touch()
        for other in self._folder.glob("classes-*"):
            if other != path and other.name.endswith((SUFFIX, _NONE)):
                other.unlink(missing_ok=True)

    def _name(self, path: Path) -> str:
        with path.open("rb") as stream:
            return f"{self._prefix}{hashlib.file_digest(stream, 'sha256').hexdigest()}{SUFFIX}"


def _key(program: Path, classpath: Sequence[Path]) -> str:
    """Path, size and time of the program and of each jar, which Java compares too, and what the classes are recorded from."""
    digest = hashlib.sha256(b"broker\n")
    for path in (program.resolve(), *classpath):
        with suppress(OSError):
            found = path.stat()
            digest.update(f"{path}|{found.st_size}|{found.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]
