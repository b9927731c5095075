from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from services.inference.tasks.record import FileOptions, TaskRecord
from services.inference.tasks.result_file import ResultFile
from services.inference.tasks.store import ClaimedTask, TaskStore
from services.inference.tasks.task_end import Canceled, Problem, end_task, finished_record
from shared.errors import InvalidRequest, OperatorError

RUNNING = TaskRecord("1" * 32, "2026-12-01T00:00:00+00:00", FileOptions(), "in_progress", rows=9, rows_done=3)
NO_DATA = OperatorError("queued model calls are expected to take 9.0 s", hint="retry")
INVALID = InvalidRequest("feature a of row 3 is missing", field="a", expected="a number", row=3)


@pytest.mark.parametrize(
    ("problem", "status", "error_status", "error"),
    [
        (None, "completed", 0, None),
        (Canceled(), "canceled", 0, None),
        (asyncio.CancelledError(), "failed", 500, "the server was stopped while the file was scored"),
        (NO_DATA, "failed", 500, NO_DATA.message),
        (INVALID, "failed", 422, INVALID.message),
    ],
)
def test_problem_decides_the_status(
    problem: Problem | None, status: str, error_status: int, error: str | None
) -> None:
    finished = finished_record(RUNNING, problem, rows_done=5, completed_at="2026-12-01T00:01:00+00:00")
    assert (finished.status, finished.error_status, finished.error.get("error")) == (
        status,
        error_status,
        error,
    )
    assert (finished.rows_done, finished.completed_at) == (5, "2026-12-01T00:01:00+00:00")
    assert (RUNNING.status, RUNNING.rows_done, RUNNING.error) == ("in_progress", 3, {})


class FullDisk(ResultFile):
    def close(self) -> None:
        raise OSError(28, "No space left on device")


@pytest.fixture
def store(tmp_path: Path) -> TaskStore:
    return TaskStore(tmp_path / "tasks", kept_seconds=3600, maximum_tasks=9)


@pytest.fixture
def task(store: TaskStore) -> ClaimedTask:
    return store.create(FileOptions(), lambda path: path.touch())


def test_result_that_is_not_written_fails_the_task(store: TaskStore, task: ClaimedTask) -> None:
    asyncio.run(end_task(store, task, FullDisk(task.result), None))
    saved = store.read(task.record.task_id)
    assert (saved.status, saved.error["error"]) == (
        "failed",
        "the result cannot be written: No space left on device",
    )


def test_record_that_is_not_saved_is_logged(
    store: TaskStore, task: ClaimedTask, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("services.inference.tasks.store.write_atomic", fail)
    finished = asyncio.run(end_task(store, task, ResultFile(task.result), None))
    assert finished.status == "completed"
    assert "task_not_saved" in capsys.readouterr().out
