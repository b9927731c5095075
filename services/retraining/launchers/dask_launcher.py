"""The launcher for a Dask cluster: sends a training with its files to a worker, and brings log and outputs back.

The worker needs Homeostat and what the training command imports; it needs no files of this machine. What the worker sends is
read as bytes, never unpickled. The connection is encrypted where Dask's own configuration says so (`distributed.comm.tls`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

from shared.errors import DependencyUnavailable, OperatorError, TrainingFailed
from shared.models.training.confinement import UNCONFINED, Confinement
from shared.models.training.shipped_job import pack, run_packed, unpack
from shared.models.training.training_process import Interrupted, TrainingJob

_CONNECT_SECONDS = 10.0
_POLL_SECONDS = 0.2
_SAFE = ["dask", "msgpack"]


class DaskLauncher:
    """Runs jobs on the cluster of the scheduler at `address`, such as `tcp://scheduler:8786`. Each job has its own client."""

    def __init__(
        self,
        address: str,
        *,
        niceness: int = 5,
        ceiling: Confinement = UNCONFINED,
        hidden: Sequence[Path] = (),
    ) -> None:
        """`ceiling`, `hidden` as for LocalLauncher: a worker on this machine must not read the folders with holdouts."""
        self._address = address
        self._niceness = niceness
        self._ceiling = ceiling
        self._hidden = tuple(hidden)

    def train(self, job: TrainingJob, stop: Event) -> None:
        """Run the command to its end on a worker that has `job.resources`.

        1. pack the files   2. submit, if a worker has the resources   3. wait, until `stop` is set: then the job is cancelled,
        and its worker ends it   4. write log and outputs
        A job whose client is gone, as after a crash, is cancelled by the scheduler. Raises what `run_training` raises, and
        DependencyUnavailable while the scheduler cannot be reached or no worker has the resources.
        """
        job = replace(job, confinement=job.confinement.within(self._ceiling))
        package = pack(job, hidden=self._hidden, niceness=self._niceness)
        with self._client() as client:
            result, worker = self._run(client, job, package, stop)
        unpack(result, job, where=f"the Dask worker {worker}")

    @contextmanager
    def _client(self) -> Iterator[Any]:
        from distributed import Client

        try:
            client = Client(
                self._address,
                timeout=_CONNECT_SECONDS,
                set_as_default=False,
                name="homeostat-retraining",
                deserializers=_SAFE,
            )
        except (OSError, TimeoutError, ValueError) as error:
            raise DependencyUnavailable(
                f"the Dask scheduler at {self._address} cannot be reached: {error}",
                hint="check HOMEOSTAT_RETRAINING_DASK, and that scheduler and client have the same version of distributed",
            ) from error
        try:
            yield client
        finally:
            with suppress(OSError, TimeoutError):
                client.close(timeout=_CONNECT_SECONDS)

    def _run(self, client: Any, job: TrainingJob, package: bytes, stop: Event) -> tuple[bytes, str]:
        self._check_resources(client, job)
        connection = client.scheduler_comm
        data = client.scatter(package, hash=False)
        future = client.submit(
            run_on_worker,
            data,
            key=f"homeostat-{job.run_id}-{time.time_ns()}",
            resources=dict(job.resources) or None,
            pure=False,
            retries=0,
        )
        while not future.done():
            if stop.wait(_POLL_SECONDS):
                future.cancel(force=True)
                raise Interrupted(job.run_id)
        if client.scheduler_comm is not connection:
            # The client has cancelled its futures, also if it has connected again: that is no end of the training.
            raise DependencyUnavailable(
                f"the connection to the Dask scheduler at {self._address} was lost",
                hint="see the log of the scheduler; the training begins again when it can be reached",
            )
        if future.status != "finished":
            raise self._lost(future, job)
        try:
            result = future.result()
        except (OSError, TimeoutError, CancelledError) as error:
            raise DependencyUnavailable(
                f"the result of the training could not be fetched from the Dask cluster: {error}",
                hint="see the logs of scheduler and worker; the training begins again",
            ) from error
        if not isinstance(result, (bytes, bytearray)):
            raise OperatorError(f"the Dask worker returned {type(result).__name__} instead of bytes")
        name, _, archive = bytes(result).partition(b"\n")
        return archive, name.decode("utf-8", "replace")

    def _check_resources(self, client: Any, job: TrainingJob) -> None:
        workers = client.scheduler_info(n_workers=-1)["workers"].values()
        offers = [worker["resources"] for worker in workers]
        if not any(
            all(offer.get(name, 0) >= much for name, much in job.resources.items()) for offer in offers
        ):
            needed = ", ".join(f"{name} {much:g}" for name, much in job.resources.items())
            raise DependencyUnavailable(
                f"none of the {len(offers)} workers of the Dask cluster at {self._address} offers {needed or 'to work'}",
                hint="start workers, with `dask worker --resources` for training.resources of loop.yaml",
            )

    def _lost(self, future: Any, job: TrainingJob) -> TrainingFailed:
        """What remains where the worker has sent no result: it died, it lacks Homeostat, or somebody cancelled the job."""
        hint = (
            "see the log of the worker; it needs Homeostat of this version, the libraries of the training command, and memory "
            "for it"
        )
        return TrainingFailed(
            f"the Dask cluster did not run the training: the job is {future.status}", hint=hint
        )


class _Released:
    """Whether the scheduler has taken the running task from its worker, or is gone itself, upon which a worker closes.

    It takes a task that was cancelled, and one whose client is gone.
    """

    def __init__(self) -> None:
        from distributed import Status, get_worker

        self._going_on = (Status.running, Status.paused)
        self._worker = get_worker()
        self._key = self._worker.get_current_task()

    @property
    def worker(self) -> str:
        return str(self._worker.name)

    def is_set(self) -> bool:
        if self._worker.status not in self._going_on:
            return True
        task = self._worker.state.tasks.get(self._key)
        return task is None or task.state not in ("executing", "long-running")


def run_on_worker(package: bytes) -> bytes:
    """Runs on the worker: the name of the worker, and after a line feed the result of the job."""
    released = _Released()
    return f"{released.worker}\n".encode() + run_packed(package, released)
