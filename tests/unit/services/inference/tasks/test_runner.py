from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from prometheus_client import CollectorRegistry

from services.inference.tasks.metrics import TaskMetrics
from services.inference.tasks.record import FileOptions, TaskRecord
from services.inference.tasks.result_file import ResultFile
from services.inference.tasks.runner import TaskRunner
from services.inference.tasks.store import ClaimedTask, TaskStore
from shared.errors import InvalidRequest
from shared.files import write_atomic
from tests.fakes.inference_server import InferenceServer
from tests.fakes.toy_model import ROW, ToyStore
from tests.unit.services.inference.tasks.scoring import scorer_of
from tests.waiting import bound


class Tasks:
    """A store and a runner of one server in memory."""

    def __init__(self, toys: ToyStore, folder: Path) -> None:
        toys.put_and_release(0.5)
        self.server = InferenceServer(toys)
        self.store = TaskStore(folder / "tasks", kept_seconds=3600, maximum_tasks=9)
        self.registry = CollectorRegistry()
        self.scorer = scorer_of(self.server)
        self.runner = TaskRunner(self.store, self.scorer, TaskMetrics(self.registry), maximum_rows=100_000)

    def create(self, rows: int) -> ClaimedTask:
        table = pa.table({name: [value] * rows for name, value in ROW.items()})
        return self.store.create(FileOptions(), lambda path: pq.write_table(table, path))

    async def begin(self, rows: int) -> ClaimedTask:
        """A task that has scored some of its rows."""
        task = self.create(rows)
        self.runner.start(task)
        while not task.record.rows_done:
            await asyncio.sleep(0)
        return task

    def saved(self, task: ClaimedTask) -> TaskRecord:
        return self.store.read(task.record.task_id)


def test_tasks_run_one_after_the_other(toys: ToyStore, tmp_path: Path) -> None:
    async def run() -> None:
        tasks = Tasks(toys, tmp_path)
        first, second = tasks.create(3000), tasks.create(10)
        for task in (first, second):
            tasks.runner.start(task)
        assert tasks.registry.get_sample_value("homeostat_inference_tasks_unfinished") == 2
        while second.record.status == "pending":
            await asyncio.sleep(0)
        assert first.record.rows_done == 3000
        await tasks.runner.wait(second.record.task_id)
        assert [tasks.saved(task).rows_done for task in (first, second)] == [3000, 10]
        assert tasks.runner.record(first.record.task_id) is None
        assert tasks.registry.get_sample_value("homeostat_inference_tasks_unfinished") == 0
        completed = {"status": "completed"}
        assert tasks.registry.get_sample_value("homeostat_inference_tasks_total", completed) == 2

    asyncio.run(run())


def test_stopped_task_is_failed_with_its_rows(toys: ToyStore, tmp_path: Path) -> None:
    async def run() -> None:
        tasks = Tasks(toys, tmp_path)
        task = await tasks.begin(50_000)
        await tasks.runner.stop()
        record = tasks.saved(task)
        assert (record.status, record.error_status) == ("failed", 500)
        assert record.error["error"] == "the server was stopped while the file was scored"
        assert 0 < record.rows_done == pq.read_table(task.result).num_rows < 50_000

    asyncio.run(run())


def test_full_spool_fails_a_task_and_drops_its_rows_once(toys: ToyStore, tmp_path: Path) -> None:
    """Tried again and again, each attempt would be counted as rows that were lost."""

    async def run() -> None:
        tasks = Tasks(toys, tmp_path)
        tasks.server.recorder.refuses = tasks.server.spool.full = True
        task = tasks.create(10)
        tasks.runner.start(task)
        await asyncio.wait_for(tasks.runner.wait(task.record.task_id), bound(20))
        record = tasks.saved(task)
        assert (record.status, record.rows_done) == ("failed", 0)
        assert "the spool is full" in record.error["error"]
        assert tasks.server.spool.dropped == {("predictions", "toy"): 10}

    asyncio.run(run())


def test_stop_does_not_change_how_a_task_ended(
    toys: ToyStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        tasks = Tasks(toys, tmp_path)
        task = tasks.create(10)
        closing, goes_on = threading.Event(), threading.Event()
        close = ResultFile.close

        def held_up(result: ResultFile) -> None:
            closing.set()
            assert goes_on.wait(bound(20))
            close(result)

        monkeypatch.setattr(ResultFile, "close", held_up)
        tasks.runner.start(task)
        await asyncio.to_thread(closing.wait, bound(20))
        stopping = asyncio.ensure_future(tasks.runner.stop())
        await asyncio.sleep(0)
        goes_on.set()
        await stopping
        assert (tasks.saved(task).status, tasks.saved(task).rows_done) == ("completed", 10)

    asyncio.run(run())


def test_task_is_finished_only_once_its_result_can_be_read(toys: ToyStore, tmp_path: Path) -> None:
    async def run() -> None:
        tasks = Tasks(toys, tmp_path)
        task = await tasks.begin(50_000)
        tasks.store.request_cancel(task.record.task_id)
        while not task.record.finished:
            await asyncio.sleep(0)
        assert task.record.status == "canceled"
        assert 0 < task.record.rows_done == pq.read_table(task.result).num_rows < 50_000
        await tasks.runner.wait(task.record.task_id)

    asyncio.run(run())


def test_task_is_finished_only_once_other_workers_can_read_it(
    toys: ToyStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = []

    async def run() -> None:
        tasks = Tasks(toys, tmp_path)
        task = tasks.create(10)

        def write(path: Path, content: bytes, *, mode: int) -> None:
            if b'"completed"' in content:
                record = tasks.runner.record(task.record.task_id)
                said.append(record is not None and record.finished)
            write_atomic(path, content, mode=mode)

        monkeypatch.setattr("services.inference.tasks.store.write_atomic", write)
        tasks.runner.start(task)
        await tasks.runner.wait(task.record.task_id)
        assert tasks.saved(task).status == "completed"

    asyncio.run(run())
    assert said == [False]


def test_waiting_task_is_canceled_before_its_turn(
    toys: ToyStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        tasks = Tasks(toys, tmp_path)
        first, second = tasks.create(10), tasks.create(10)
        turn_ends = asyncio.Event()

        async def check(*_: object) -> None:
            await turn_ends.wait()

        monkeypatch.setattr(tasks.scorer, "check", check)
        for task in (first, second):
            tasks.runner.start(task)
        tasks.store.request_cancel(second.record.task_id)
        await tasks.runner.wait(second.record.task_id)
        assert tasks.saved(second).status == "canceled"
        assert not first.record.finished
        turn_ends.set()
        await tasks.runner.wait(first.record.task_id)
        assert tasks.saved(first).status == "completed"

    asyncio.run(run())


def test_task_canceled_while_it_waited_answers_no_row(toys: ToyStore, tmp_path: Path) -> None:
    async def run() -> None:
        tasks = Tasks(toys, tmp_path)
        first, second = await tasks.begin(3000), tasks.create(10)
        tasks.store.request_cancel(second.record.task_id)
        tasks.runner.start(second)
        await tasks.runner.wait(second.record.task_id)
        assert (tasks.saved(second).status, tasks.saved(second).rows_done) == ("canceled", 0)
        await tasks.runner.wait(first.record.task_id)
        assert tasks.saved(first).status == "completed"
        third = tasks.create(10)
        tasks.runner.start(third)
        await tasks.runner.wait(third.record.task_id)
        assert tasks.saved(third).status == "completed"

    asyncio.run(run())


def test_file_keeps_its_model_when_another_is_released(toys: ToyStore, tmp_path: Path) -> None:
    server = Tasks(toys, tmp_path).server
    options = scorer_of(server).check_options(FileOptions(event_time_column="at"))
    toys.put_and_release(0.5, model="other")
    server.poller.poll()
    assert options == FileOptions(model="toy", event_time_column="at")
    assert scorer_of(server).check_options(options) == options
    with pytest.raises(InvalidRequest, match="several models"):
        scorer_of(server).check_options(FileOptions())
