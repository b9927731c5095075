"""Registers the server processes of one `bentoml serve` in a folder that they share.

A process takes the lowest free worker number and keeps it until it ends; the process that replaces it takes the number over.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

from services.inference.workers.merging import added
from services.inference.workers.worker_snapshot import Family, WorkerSnapshot
from shared.errors import OperatorError
from shared.file_lock import try_lock
from shared.files import write_atomic


class WorkerRegistration:
    """The registration of this process: its worker number, from 1, and access to the snapshots of all workers."""

    def __init__(self, folder: Path, number: int, lock: int) -> None:
        self.number = number
        self.process = uuid4().hex
        self._folder = folder
        self._lock = lock

    @classmethod
    def take(cls, root: Path, parent: str) -> WorkerRegistration:
        """Take the lowest free worker number among the processes of `parent`. Raises OperatorError.

        The counters of the number's previous process are added to those of its ended processes.
        """
        folder = root / parent
        try:
            _make_private(root)
            _remove_ended(root, parent)
            folder.mkdir(mode=0o700, exist_ok=True)
            number, lock = _first_free(folder)
            registration = cls(folder, number, lock)
            registration._retire_predecessor()
        except OSError as error:
            raise OperatorError(
                f"the workers cannot share {folder}: {error.strerror}",
                hint="make the folder for temporary files writable, or set HOMEOSTAT_INFERENCE_WORKERS=1",
            ) from error
        return registration

    def publish(self, snapshot: WorkerSnapshot) -> None:
        """Replace this process's snapshot. Raises OSError."""
        write_atomic(self._snapshot(self.number), snapshot.dump(), mode=0o600)

    def read(self) -> tuple[list[WorkerSnapshot], list[list[Family]]]:
        """The latest snapshots of the running processes, by worker number, and the counters of all that have ended.

        The snapshot of a number is read first: its process writes the ended counters before its own, so none is missed.
        """
        running: list[WorkerSnapshot] = []
        ended: list[list[Family]] = []
        for number in sorted(self._numbers()):
            last, before = self._load(self._snapshot(number)), self._load(self._ended(number))
            if before is not None:
                ended.append(before.families)
            if last is None or (before is not None and before.process == last.process):
                continue
            if _runs(last.pid):
                running.append(last)
            else:
                ended.append(last.families)
        return running, ended

    def stop_listening(self) -> bool:
        """Note that this process accepts no more connections; whether no other process of the server accepts any.

        Noted before it is asked, so of several that end at once one at least is the last. Raises OSError.
        """
        self._closed(self.process).touch(mode=0o600)
        running, _ = self.read()
        return all(self._closed(one.process).exists() for one in running)

    def _retire_predecessor(self) -> None:
        last, before = self._load(self._snapshot(self.number)), self._load(self._ended(self.number))
        if last is not None and (before is None or before.process != last.process):
            # `process` says which one was added last: a crash between two writes counts nothing twice.
            families = added(before.families if before is not None else [], last.families)
            write_atomic(
                self._ended(self.number),
                WorkerSnapshot(last.process, last.pid, {}, families).dump(),
                mode=0o600,
            )
            self._closed(last.process).unlink(missing_ok=True)

    def _numbers(self) -> Iterator[int]:
        for path in self._folder.glob("*.lock"):
            yield int(path.stem)

    def _snapshot(self, number: int) -> Path:
        return self._folder / f"{number}.json"

    def _ended(self, number: int) -> Path:
        return self._folder / f"{number}.ended.json"

    def _closed(self, process: str) -> Path:
        return self._folder / f"{process}.closed"

    def _load(self, path: Path) -> WorkerSnapshot | None:
        try:
            return WorkerSnapshot.load(path.read_bytes())
        except FileNotFoundError:
            return None


def shared_folder() -> Path:
    """The folder for temporary files, below it one of this user. It is gone after a restart of the machine, like the counters."""
    return Path(tempfile.gettempdir()) / f"homeostat-workers-{os.getuid()}"


def parent_of_this_process() -> str:
    """Names the `bentoml serve` that started this process: its number, and its start time, since numbers are used again."""
    parent = os.getppid()
    try:
        started = Path(f"/proc/{parent}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        started = "0"
    return f"{parent}-{started}"


def _make_private(root: Path) -> None:
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    state = root.lstat()  # of a link: every permission
    if state.st_uid != os.getuid() or state.st_mode & 0o077:
        raise OperatorError(
            f"{root} is not private to this user",
            hint="delete it; another user of the machine may have created it",
        )


def _remove_ended(root: Path, parent: str) -> None:
    """Remove the folders of servers that do not run any more."""
    for folder in root.iterdir():
        number = folder.name.partition("-")[0]
        if folder.name != parent and number.isdigit() and not _runs(int(number)):
            shutil.rmtree(folder, ignore_errors=True)


def _first_free(folder: Path) -> tuple[int, int]:
    number = 0
    while True:
        number += 1
        lock = try_lock(folder / f"{number}.lock")
        if lock is not None:
            return number, lock


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
