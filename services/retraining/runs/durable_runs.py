"""Runs as durable workflows. The only module that knows DBOS.

DBOS remembers which steps of a run are done and begins the rest again after a crash; a step may therefore run more than once,
which is why each one finds or creates. The ledger stays the truth: if the store of steps is lost, runs start over and find
what is done.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from dbos import DBOS, DBOSConfig, Queue, Serializer, SetWorkflowID

from shared.errors import OperatorError

_QUEUE = "runs"
# Raised when the order of steps changes: a workflow of another version is not resumed, its run starts over.
_VERSION = "1"
_OVER = frozenset({"SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"})


class _Json(Serializer):
    """Nothing but JSON goes into the store: the library's own form is pickle, which we never read."""

    def serialize(self, data: Any) -> str:
        return json.dumps(data, default=str)

    def deserialize(self, serialized_data: str) -> Any:
        return json.loads(serialized_data)

    def name(self) -> str:
        return "homeostat_json"


class DurableRuns:
    """Drives runs step by step. One per process, and one process per store: see leadership."""

    def __init__(
        self,
        url: str,
        *,
        steps: tuple[str, ...],
        do: Callable[[str, str], str],
        at_work: Callable[[str], bool],
        at_once: int,
        poll_seconds: float,
        silence_seconds: float = 30.0,
    ) -> None:
        """`do(run_id, step)` does a step and returns the run's state; `at_work(state)` says whether more steps follow.

        A workflow that the store calls running, while nothing in this process has driven it for `silence_seconds`, is given up.
        """
        self._config: DBOSConfig = {
            "name": "homeostat-retraining",
            "system_database_url": url,
            "application_version": _VERSION,
            "executor_id": "retraining",
            "serializer": _Json(),
            "log_level": "WARNING",
            "enable_otlp": False,
        }
        self._steps = steps
        self._do = do
        self._at_work = at_work
        self._at_once = at_once
        self._poll_seconds = poll_seconds
        self._silence_seconds = silence_seconds
        self._driven: set[str] = set()
        self._silent_since: dict[str, float] = {}
        self._queue: Queue | None = None
        self._workflow: Callable[[str], str] | None = None

    def launch(self) -> None:
        """Open the store and resume what a former process left unfinished. Raises OperatorError."""
        try:
            self._launch()
        except Exception as error:  # the library raises its own errors, the driver's and the system's
            self.close()
            raise OperatorError(
                f"the store of durable steps cannot be opened: {error}",
                hint="free the disk or start the database; runs go on then",
            ) from error

    def _launch(self) -> None:
        DBOS(config=self._config)
        made = {name: self._step(name) for name in self._steps}

        def drive(run_id: str) -> str:
            state = ""
            self._driven.add(run_id)
            try:
                for name in self._steps:
                    state = made[name](run_id)
                    if not self._at_work(state):
                        break
            finally:
                self._driven.discard(run_id)
            return state

        self._workflow = DBOS.workflow(name="drive", max_recovery_attempts=1_000_000)(drive)
        DBOS.launch()
        self._queue = DBOS.register_queue(
            _QUEUE,
            worker_concurrency=self._at_once,
            polling_interval_sec=self._poll_seconds,
            on_conflict="always_update",
        )

    def ensure(self, run_id: str) -> None:
        """See to it that the run is being driven; a repeat changes nothing.

        The workflow's id is the run's, which is the cause's: asking twice gives one workflow. Where that one is over and the
        run is at work again (a person approved), the next number is taken; also where it died without a word, because the store
        could not even be told (a full disk).
        """
        if self._queue is None or self._workflow is None:
            raise RuntimeError("launch first")
        number = 1
        while True:
            workflow_id = run_id if number == 1 else f"{run_id}.{number}"
            status = DBOS.get_workflow_status(workflow_id)
            if status is None:
                with SetWorkflowID(workflow_id):
                    self._queue.enqueue(self._workflow, run_id)
                return
            alive = status.status not in _OVER and status.app_version in (None, _VERSION)
            if alive and not self._silent(workflow_id, run_id, running=status.status == "PENDING"):
                return
            number += 1

    def _silent(self, workflow_id: str, run_id: str, *, running: bool) -> bool:
        if not running or run_id in self._driven:
            self._silent_since.pop(workflow_id, None)
            return False
        now = time.monotonic()
        return now - self._silent_since.setdefault(workflow_id, now) > self._silence_seconds

    def close(self) -> None:
        """Stop driving; unfinished workflows stay in the store for the next process."""
        DBOS.destroy(destroy_registry=True)

    def _step(self, name: str) -> Callable[[str], str]:
        def step(run_id: str) -> str:
            return self._do(run_id, name)

        return DBOS.step(name=name)(step)
