"""Runs the tasks of this process, one at a time, and keeps their records."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing

from services.inference.tasks.metrics import TaskMetrics
from services.inference.tasks.parquet_rows import ParquetRows
from services.inference.tasks.record import TaskRecord
from services.inference.tasks.result_file import ResultFile
from services.inference.tasks.scorer import FileScorer
from services.inference.tasks.store import ClaimedTask, TaskStore
from services.inference.tasks.task_end import Canceled, Problem, end_task
from services.inference.tasks.thread_calls import on_thread
from shared.observability.logs import get_logger

_log = get_logger(__name__)
_SAVED_EVERY_SECONDS = 0.5
_POLL_SECONDS = 0.2


class TaskRunner:
    """Tasks wait for each other: a second file would only slow down the first, and requests with both."""

    def __init__(
        self, store: TaskStore, scorer: FileScorer, metrics: TaskMetrics, *, maximum_rows: int
    ) -> None:
        self._store = store
        self._scorer = scorer
        self._metrics = metrics
        self._maximum_rows = maximum_rows
        self._turn = asyncio.Lock()
        self._running: dict[str, tuple[ClaimedTask, asyncio.Task[None]]] = {}
        metrics.watch(lambda: len(self._running))

    def start(self, task: ClaimedTask) -> None:
        """Run the task when it is its turn."""
        job = asyncio.create_task(self._run(task), name=f"score-file-{task.record.task_id}")
        self._running[task.record.task_id] = (task, job)

    def record(self, task_id: str) -> TaskRecord | None:
        """The record of a task that this process has not finished, with progress to the last call."""
        found = self._running.get(task_id)
        return found[0].record if found else None

    async def wait(self, task_id: str) -> None:
        """Return when the task is finished, at once if it is not one of this process."""
        if (found := self._running.get(task_id)) is not None:
            await asyncio.wait([found[1]])

    async def stop(self) -> None:
        """End every task, as failed; what they have answered is in their results."""
        jobs = [job for _, job in self._running.values()]
        for job in jobs:
            job.cancel()
        if jobs:
            await asyncio.wait(jobs)

    async def _run(self, task: ClaimedTask) -> None:
        """1. wait for the turn   2. check every row   3. answer   4. end the task (`task_end`)"""
        result = ResultFile(task.result)
        problem: Problem | None = None
        has_turn = False
        try:
            await self._wait_for_turn(task)
            has_turn = True
            await self._score(task, result)
        except (Exception, asyncio.CancelledError) as error:
            problem = error
        ending = asyncio.ensure_future(end_task(self._store, task, result, problem))
        try:
            finished = await asyncio.shield(ending)
        except asyncio.CancelledError:  # the server stops, which does not change how the task ended
            finished = await ending
        del self._running[finished.task_id]
        self._metrics.finished(finished.status)
        _log.info(
            "task_finished",
            task_id=finished.task_id,
            status=finished.status,
            rows=finished.rows,
            rows_done=finished.rows_done,
            problem=finished.error.get("error", ""),
        )
        if has_turn:
            self._turn.release()

    async def _wait_for_turn(self, task: ClaimedTask) -> None:
        """Acquire the turn. Raises Canceled where the task is canceled meanwhile."""
        acquired = False
        while not acquired:
            try:
                async with asyncio.timeout(_POLL_SECONDS):
                    acquired = await self._turn.acquire()
            except TimeoutError:
                pass
            if task.cancel_requested():
                if acquired:
                    self._turn.release()
                raise Canceled

    async def _score(self, task: ClaimedTask, result: ResultFile) -> None:
        """Raises Canceled, HomeostatError."""
        record = task.record
        record.status, record.executed_at = "in_progress", self._store.now()
        rows = await on_thread(ParquetRows, task.source, maximum_rows=self._maximum_rows)
        try:
            record.rows = rows.rows
            await on_thread(task.save)
            await self._scorer.check(rows, record.options)
            saved = time.monotonic()
            async with aclosing(self._scorer.score(rows, record.options, result)) as calls:
                async for _ in calls:
                    record.rows_done = result.rows
                    if task.cancel_requested():
                        raise Canceled
                    if time.monotonic() - saved > _SAVED_EVERY_SECONDS:
                        await on_thread(task.save)
                        saved = time.monotonic()
        finally:
            rows.close()
