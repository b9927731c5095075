"""The tasks of an installation: a folder each, below `<home>/tasks`, read by every worker and kept over restarts."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from services.inference.tasks.record import FileOptions, TaskRecord
from shared.errors import NotFound, OperatorError
from shared.file_lock import try_lock
from shared.files import write_atomic

_RECORD, _LOCK, _CANCEL = "task.json", "lock", "cancel"
_ID = re.compile(r"[0-9a-f]{32}")
_ABANDONED_SECONDS = 3600.0  # a folder without a record: its upload was cut off


class ClaimedTask:
    """A task that this process runs: its folder is locked until `finish`, or until the process ends."""

    def __init__(self, folder: Path, record: TaskRecord, lock: int) -> None:
        self.record = record
        self.folder = folder
        self._lock = lock

    @property
    def source(self) -> Path:
        """The uploaded file."""
        return self.folder / "input.parquet"

    @property
    def result(self) -> Path:
        """The answers."""
        return self.folder / "result.parquet"

    def cancel_requested(self) -> bool:
        """Whether a client has cancelled it, in whichever worker."""
        return (self.folder / _CANCEL).exists()

    def save(self) -> None:
        """Make the record visible to other workers. Raises OSError."""
        write_atomic(self.folder / _RECORD, self.record.dump(), mode=0o600)

    def finish(self, finished: TaskRecord) -> None:
        """Save the finished record, then unlock: an unlocked unfinished task is one whose server died.

        `record` is finished only after that: another worker may be asked for the result of what this one calls finished.
        """
        try:
            write_atomic(self.folder / _RECORD, finished.dump(), mode=0o600)
        finally:
            os.close(self._lock)
            self.record = finished


class TaskStore:
    """Creates, finds and removes tasks. Methods read and write files: call them on a thread, or where that does not matter."""

    def __init__(
        self,
        root: Path,
        *,
        kept_seconds: float,
        maximum_tasks: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._root = root
        self._kept_seconds = kept_seconds
        self._maximum = maximum_tasks
        self._clock = clock

    def create(
        self, options: FileOptions, move: Callable[[Path], None], *, copied_from: str = ""
    ) -> ClaimedTask:
        """A new task whose file `move` puts at the given path. Raises OperatorError where there are too many, or no room.

        1. remove expired tasks, and the oldest finished ones beyond the limit   2. lock a new folder
        3. put the file there   4. write the record: from here on the task exists
        The task that `move` copies from, `copied_from`, is removed last, if it is to be removed.
        """
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            removed = self._chosen_to_remove()
            _remove(folder for folder in removed if folder.name != copied_from)
            record = TaskRecord(uuid4().hex, self.now(), options)
            folder = self._root / record.task_id
            folder.mkdir(mode=0o700)
            lock = try_lock(folder / _LOCK)
            assert lock is not None  # nobody else knows the folder
            task = ClaimedTask(folder, record, lock)
            try:
                move(task.source)
                task.save()
            except BaseException:
                os.close(lock)
                shutil.rmtree(folder, ignore_errors=True)
                raise
            _remove(removed)
        except OSError as error:
            raise OperatorError(
                f"the task cannot be stored in {self._root}: {error.strerror}",
                hint="free disk space, or make HOMEOSTAT_HOME writable for the service's user",
            ) from error
        return task

    def read(self, task_id: str) -> TaskRecord:
        """The record of a task; one whose server died is failed from now on. Raises NotFound."""
        folder = self._folder(task_id)
        record = self._load(folder)
        if record is None:
            raise _unknown(task_id)
        if not record.finished and (lock := try_lock(folder / _LOCK)) is not None:
            try:
                # Its process may have finished it after it was read.
                record = self._load(folder) or record
                if not record.finished:
                    self._fail(folder, record)
            finally:
                os.close(lock)
        return record

    def request_cancel(self, task_id: str) -> None:
        """Ask the process that runs the task to stop. Raises NotFound."""
        with suppress(FileExistsError):
            (self._folder(task_id) / _CANCEL).touch(mode=0o600)

    def result(self, task_id: str) -> Path:
        """Where the answers are, if there are any. Raises NotFound."""
        return self._folder(task_id) / "result.parquet"

    def source(self, task_id: str) -> Path:
        """Where the uploaded file is. Raises NotFound."""
        return self._folder(task_id) / "input.parquet"

    def now(self) -> str:
        """The time, for records."""
        return datetime.fromtimestamp(self._clock(), UTC).isoformat()

    def _folder(self, task_id: str) -> Path:
        # It comes from the client and becomes a path.
        if not _ID.fullmatch(task_id) or not (self._root / task_id).is_dir():
            raise _unknown(task_id)
        return self._root / task_id

    def _chosen_to_remove(self) -> list[Path]:
        """The expired tasks, and the oldest finished ones, so that there is room for one more. Raises OperatorError."""
        records = {}
        expired = []
        for folder in self._folders():
            try:
                record = self.read(folder.name)
            except NotFound:
                self._remove_abandoned(folder)
                continue
            if record.finished and self._age(record.completed_at) > self._kept_seconds:
                expired.append(folder)
            else:
                records[folder] = record
        finished = sorted(
            (folder for folder, record in records.items() if record.finished),
            key=lambda folder: records[folder].completed_at,
        )
        if len(records) - len(finished) >= self._maximum:
            raise OperatorError(
                f"{len(records) - len(finished)} tasks are not finished yet",
                hint="retry when one is finished, or raise HOMEOSTAT_INFERENCE_MAXIMUM_TASKS",
            )
        return expired + finished[: max(0, len(records) + 1 - self._maximum)]

    def _folders(self) -> Iterator[Path]:
        yield from (folder for folder in self._root.iterdir() if _ID.fullmatch(folder.name))

    def _remove_abandoned(self, folder: Path) -> None:
        with suppress(OSError):
            if self._clock() - folder.stat().st_mtime > _ABANDONED_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)

    def _age(self, moment: str) -> float:
        return self._clock() - datetime.fromisoformat(moment).timestamp()

    def _load(self, folder: Path) -> TaskRecord | None:
        try:
            return TaskRecord.load((folder / _RECORD).read_bytes())
        except FileNotFoundError:
            return None

    def _fail(self, folder: Path, record: TaskRecord) -> None:
        record.status = "failed"
        record.completed_at = self.now()
        record.error_status = 500
        record.error = {
            "error": "the server ended while the file was scored; "
            f"at least {record.rows_done} of its rows are answered and logged",
            "hint": "submit the file again, or POST /score_file/retry; the predictions of the first attempt stay in the log",
        }
        write_atomic(folder / _RECORD, record.dump(), mode=0o600)


def _remove(folders: Iterable[Path]) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def _unknown(task_id: str) -> NotFound:
    return NotFound(
        f"there is no task {task_id[:40]!r}",
        hint="use the task_id of the submission's response; finished tasks are deleted after HOMEOSTAT_INFERENCE_TASK_HOURS",
    )
