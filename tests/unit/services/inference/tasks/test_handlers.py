from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import cast

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from prometheus_client import CollectorRegistry

from services.inference.http.response import Response
from services.inference.metrics import InferenceMetrics
from services.inference.tasks.handlers import TaskHandlers
from services.inference.tasks.metrics import TaskMetrics
from services.inference.tasks.record import FileOptions
from services.inference.tasks.runner import TaskRunner
from services.inference.tasks.store import TaskStore
from services.inference.tasks.upload import UploadReader
from tests.fakes.inference_server import InferenceServer
from tests.fakes.toy_model import ROW, ToyStore
from tests.unit.services.inference.tasks.scoring import scorer_of


class World:
    """The handlers of a server in memory that keeps one task."""

    def __init__(self, toys: ToyStore, folder: Path) -> None:
        toys.put_and_release(0.5)
        scorer = scorer_of(InferenceServer(toys))
        self.store = TaskStore(folder / "tasks", kept_seconds=3600, maximum_tasks=1)
        self.runner = TaskRunner(self.store, scorer, TaskMetrics(CollectorRegistry()), maximum_rows=100)
        self.handlers = TaskHandlers(
            self.store,
            self.runner,
            scorer,
            UploadReader(maximum_bytes=1 << 20, receive_seconds=1),
            InferenceMetrics(CollectorRegistry()),
        )

    async def completed(self) -> str:
        table = pa.table({name: [value] * 3 for name, value in ROW.items()})
        task = self.store.create(FileOptions(), lambda path: pq.write_table(table, path))
        self.runner.start(task)
        await self.runner.wait(task.record.task_id)
        return task.record.task_id


def test_task_is_retried_though_it_makes_room(toys: ToyStore, tmp_path: Path) -> None:
    async def run() -> None:
        world = World(toys, tmp_path)
        response = cast(Response, await world.handlers.retry(await world.completed()))
        assert response.status == 200, response.body
        task_id = orjson.loads(response.body)["task_id"]
        await world.runner.wait(task_id)
        assert world.store.read(task_id).rows_done == 3

    asyncio.run(run())


def test_task_deleted_while_its_result_is_asked_for_is_unknown(toys: ToyStore, tmp_path: Path) -> None:
    async def run() -> None:
        world = World(toys, tmp_path)
        task_id = await world.completed()
        find = world.store.result

        def deleted(task_id: str) -> Path:
            path = find(task_id)
            shutil.rmtree(path.parent)
            return path

        world.store.result = deleted  # type: ignore[method-assign]
        response = cast(Response, await world.handlers.result(task_id, partial=False))
        assert response.status == 404
        assert b"there is no task" in response.body

    asyncio.run(run())
