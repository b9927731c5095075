"""The end of a task: completed, canceled or failed.

1. close the result   2. make the finished record   3. save it

A finished status says that the result can be read: it is set after the result is closed, and seen after it is saved.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from services.inference.tasks.record import TaskRecord
from services.inference.tasks.result_file import ResultFile
from services.inference.tasks.store import ClaimedTask, TaskStore
from services.inference.tasks.thread_calls import on_thread
from shared.errors import OperatorError
from shared.http.errors import error_response
from shared.observability.logs import get_logger

_log = get_logger(__name__)


class Canceled(Exception):
    """A client has canceled the task."""


# What stopped a task. A CancelledError: its server stops.
Problem = Exception | asyncio.CancelledError


async def end_task(
    store: TaskStore, task: ClaimedTask, result: ResultFile, problem: Problem | None
) -> TaskRecord:
    """End a task that has scored its rows, or that a `problem` stopped. Its record, also where it could not be saved."""
    try:
        await on_thread(result.close)
    except OSError as failure:
        problem = OperatorError(f"the result cannot be written: {failure.strerror}")
    finished = finished_record(task.record, problem, rows_done=result.rows, completed_at=store.now())
    try:
        await on_thread(task.finish, finished)
    except OSError as failure:
        _log.error("task_not_saved", task_id=finished.task_id, problem=str(failure))
    return finished


def finished_record(
    record: TaskRecord, problem: Problem | None, *, rows_done: int, completed_at: str
) -> TaskRecord:
    """The record of a task that has ended, from that of the running one."""
    finished = replace(record, rows_done=rows_done, completed_at=completed_at)
    if problem is None:
        finished.status = "completed"
    elif isinstance(problem, Canceled):
        finished.status = "canceled"
    else:
        if isinstance(problem, asyncio.CancelledError):
            problem = OperatorError(
                "the server was stopped while the file was scored",
                hint="submit the file again, or POST /score_file/retry; the result file has the rows that were answered before",
            )
        made = error_response(problem, _log, path="/score_file")
        finished.status, finished.error = "failed", made.document
        # Nothing is gained by asking again for the result of a finished task.
        finished.error_status = 500 if made.status in (429, 503) else made.status
    return finished
