from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from services.inference.tasks.record import FileOptions, TaskRecord
from services.inference.tasks.store import ClaimedTask, TaskStore
from shared.errors import NotFound, OperatorError
from shared.file_lock import try_lock


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> TaskStore:
    return TaskStore(tmp_path / "tasks", kept_seconds=3600, maximum_tasks=3, clock=clock)


def create(store: TaskStore) -> ClaimedTask:
    def move(path: Path) -> None:
        path.write_bytes(b"rows")

    return store.create(FileOptions(model="toy"), move)


def finish(store: TaskStore, task: ClaimedTask) -> str:
    task.finish(replace(task.record, status="completed", completed_at=store.now()))
    return task.record.task_id


def test_record_is_read_back(store: TaskStore) -> None:
    task = create(store)
    task.record.rows_done = 7
    task.save()
    found = store.read(task.record.task_id)
    assert (found.rows_done, found.status, found.options) == (7, "pending", FileOptions(model="toy"))
    assert store.source(found.task_id).read_bytes() == b"rows"


def test_record_of_a_later_version_is_read() -> None:
    record = TaskRecord("a" * 32, "2026-01-01T00:00:00+00:00", FileOptions())
    later = record.dump().replace(b'"rows":0', b'"rows":0,"invented":1')
    assert TaskRecord.load(later) == record


def test_unfinished_task_of_a_dead_process_is_failed(store: TaskStore) -> None:
    task = create(store)
    task.record.status, task.record.rows_done = "in_progress", 40
    task.save()
    assert store.read(task.record.task_id).status == "in_progress"
    os.close(task._lock)  # as the kernel does when the process dies
    for _ in range(2):
        found = store.read(task.record.task_id)
        assert (found.status, found.error_status) == ("failed", 500)
        assert "at least 40 of its rows" in found.error["error"]


def test_task_that_finishes_while_it_is_read_is_not_failed(
    store: TaskStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = create(store)

    def finished_first(path: Path) -> int | None:
        finish(store, task)
        return try_lock(path)

    monkeypatch.setattr("services.inference.tasks.store.try_lock", finished_first)
    assert store.read(task.record.task_id).status == "completed"


def test_finished_task_is_removed_after_its_time(store: TaskStore, clock: Clock) -> None:
    old = finish(store, create(store))
    clock.now += 3599
    young = finish(store, create(store))
    assert store.read(old).finished
    clock.now += 2
    create(store)
    assert store.read(young).finished
    with pytest.raises(NotFound):
        store.read(old)


def test_oldest_finished_task_makes_room(store: TaskStore, clock: Clock) -> None:
    done = []
    for _ in range(4):
        clock.now += 1
        done.append(finish(store, create(store)))
    with pytest.raises(NotFound):
        store.read(done[0])
    assert [store.read(task_id).status for task_id in done[1:]] == ["completed"] * 3


def test_unfinished_tasks_are_limited(store: TaskStore) -> None:
    tasks = [create(store) for _ in range(3)]
    with pytest.raises(OperatorError, match="3 tasks are not finished yet"):
        create(store)
    finish(store, tasks[0])
    create(store)


def test_cut_off_upload_is_removed_later(store: TaskStore, clock: Clock, tmp_path: Path) -> None:
    folder = tmp_path / "tasks" / ("b" * 32)
    folder.mkdir(parents=True)
    os.utime(folder, (clock.now, clock.now))
    create(store)
    assert folder.exists()
    clock.now += 3601
    finish(store, create(store))
    assert not folder.exists()


def test_failed_move_leaves_nothing(store: TaskStore, tmp_path: Path) -> None:
    def fail(path: Path) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OperatorError, match="No space left"):
        store.create(FileOptions(), fail)
    assert list((tmp_path / "tasks").iterdir()) == []


@pytest.mark.parametrize("task_id", ["", "..", "../tasks", "A" * 32, "0" * 31, "0" * 32])
def test_other_names_are_no_tasks(store: TaskStore, task_id: str) -> None:
    create(store)
    with pytest.raises(NotFound):
        store.read(task_id)


def test_path_outside_the_folder_is_no_task(store: TaskStore, tmp_path: Path) -> None:
    task = create(store)
    outside = tmp_path / "outside"
    (tmp_path / "tasks" / task.record.task_id).rename(outside)
    for read in (store.read, store.request_cancel, store.result, store.source):
        with pytest.raises(NotFound):
            read("../outside")


def test_cancel_reaches_the_process_that_runs_it(store: TaskStore) -> None:
    task = create(store)
    assert not task.cancel_requested()
    for _ in range(2):
        store.request_cancel(task.record.task_id)
    assert task.cancel_requested()


@pytest.mark.parametrize("expired", [False, True])
def test_task_that_makes_room_is_copied_first(store: TaskStore, clock: Clock, expired: bool) -> None:
    oldest = finish(store, create(store))
    for _ in range(2):
        clock.now += 1
        finish(store, create(store))
    clock.now += 3600 * expired
    source = store.source(oldest)

    def copy(path: Path) -> None:
        shutil.copyfile(source, path)

    retried = store.create(FileOptions(), copy, copied_from=oldest)
    assert retried.source.read_bytes() == b"rows"
    with pytest.raises(NotFound):
        store.read(oldest)
