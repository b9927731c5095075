"""The routes of the task `score_file`, as BentoML's clients call them."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from services.inference.http.body import ClientGone, Receive
from services.inference.http.response import Response, from_error, json_response
from services.inference.metrics import InferenceMetrics
from services.inference.tasks.record import FileOptions, TaskRecord
from services.inference.tasks.runner import TaskRunner
from services.inference.tasks.scorer import FileScorer
from services.inference.tasks.store import TaskStore
from services.inference.tasks.upload import UploadReader
from shared.errors import CallerError, Conflict, InvalidRequest, NotFound
from shared.http.errors import ErrorResponse, error_response
from shared.observability.logs import get_logger

_log = get_logger(__name__)
_CANCEL_SECONDS = 10.0
Scope = MutableMapping[str, Any]
# None where the client is gone; a path where the response is that file.
Answer = Response | Path | None


class TaskHandlers:
    """Answers the routes below `/score_file`."""

    def __init__(
        self,
        store: TaskStore,
        runner: TaskRunner,
        scorer: FileScorer,
        uploads: UploadReader,
        metrics: InferenceMetrics,
    ) -> None:
        self._store = store
        self._runner = runner
        self._scorer = scorer
        self._uploads = uploads
        self._metrics = metrics

    async def submit(self, scope: Scope, receive: Receive) -> Answer:
        """Start a batch task for the file; returns its id."""

        async def submitted() -> Answer:
            return json_response((await self._submit(scope, receive)).report())

        return await self._answered(submitted)

    async def run(self, scope: Scope, receive: Receive) -> Answer:
        """Score a small file; waits and returns the result."""

        async def scored() -> Answer:
            task_id = (await self._submit(scope, receive)).task_id
            await self._runner.wait(task_id)
            return await self._result(task_id, partial=False)

        return await self._answered(scored)

    async def status(self, task_id: str | None) -> Answer:
        """The status and progress of a batch task."""

        async def reported() -> Answer:
            return json_response((await self._record(task_id)).report())

        return await self._answered(reported)

    async def result(self, task_id: str | None, *, partial: bool) -> Answer:
        """The result as Parquet; of a failed task its error, or with `partial` the rows answered before."""
        return await self._answered(lambda: self._result(task_id, partial=partial))

    async def cancel(self, task_id: str | None) -> Answer:
        """Stop a batch task after the current model call; rows already answered stay logged and in the result."""

        async def canceled() -> Answer:
            record = await self._record(task_id)
            if record.finished:
                raise Conflict(f"the task is already {record.status}")
            await asyncio.to_thread(self._store.request_cancel, record.task_id)
            end = time.monotonic() + _CANCEL_SECONDS
            while not (record := await self._record(task_id)).finished and time.monotonic() < end:
                await asyncio.sleep(0.02)
            # A call that takes long is still waited for: the task is canceled after it.
            return json_response(record.report(), 200 if record.finished else 202)

        return await self._answered(canceled)

    async def retry(self, task_id: str | None) -> Answer:
        """Start a new task with the same file; rows answered before are answered again, with new ids."""

        async def retried() -> Answer:
            old = await self._record(task_id)
            if not old.finished:
                raise Conflict(f"the task is {old.status}", hint="cancel it, or wait until it is finished")
            source = self._store.source(old.task_id)
            started = await self._start(
                old.options, lambda path: _copy(source, path), copied_from=old.task_id
            )
            return json_response(started.report())

        return await self._answered(retried)

    async def _submit(self, scope: Scope, receive: Receive) -> TaskRecord:
        upload = await self._uploads.read(scope, receive)
        return await self._start(upload.options, upload.move)

    async def _start(
        self, options: FileOptions, move: Callable[[Path], None], *, copied_from: str = ""
    ) -> TaskRecord:
        options = self._scorer.check_options(options)
        task = await asyncio.to_thread(self._store.create, options, move, copied_from=copied_from)
        self._runner.start(task)
        return task.record

    async def _record(self, task_id: str | None) -> TaskRecord:
        if not task_id:
            raise InvalidRequest(
                "`task_id` is missing",
                field="task_id",
                expected="the id of a task as a query parameter",
                status=400,
            )
        record = self._runner.record(task_id)
        return record if record is not None else await asyncio.to_thread(self._store.read, task_id)

    async def _result(self, task_id: str | None, *, partial: bool) -> Answer:
        record = await self._record(task_id)
        if not record.finished:
            raise Conflict(
                f"the task is {record.status}: {record.rows_done} of {record.rows} rows are answered",
                hint="poll /score_file/status until it is finished",
            )
        if record.status == "failed" and not partial:
            return from_error(ErrorResponse(record.error_status, record.error))
        path = self._store.result(record.task_id)
        if not await asyncio.to_thread(path.is_file):
            await asyncio.to_thread(self._store.read, record.task_id)  # it may have been deleted just now
            raise NotFound(f"the task is {record.status} and has no answers")
        return path

    async def _answered(self, handle: Callable[[], Awaitable[Answer]]) -> Answer:
        """The answer, or the error as one; errors are counted like those of other requests."""
        start = time.perf_counter()
        try:
            return await handle()
        except ClientGone:
            return None
        except Exception as error:
            response = from_error(error_response(error, _log, path="/score_file"))
            outcome = "refused" if isinstance(error, CallerError) else "failed"
            self._metrics.failed(None, outcome, response.status, time.perf_counter() - start)
            return response


def _copy(source: Path, target: Path) -> None:
    try:
        shutil.copyfile(source, target)
    except FileNotFoundError:
        raise NotFound("the file of the task no longer exists", hint="send it again") from None
