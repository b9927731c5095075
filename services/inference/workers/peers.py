"""What the processes of one server know of each other, renewed twice a second."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric

from services.inference.workers.merging import merge
from services.inference.workers.registration import WorkerRegistration
from services.inference.workers.worker_snapshot import WorkerSnapshot, families_of
from shared.observability.logs import get_logger

_log = get_logger(__name__)
_EVERY_SECONDS = 0.5
Status = dict[str, Any]


class Peers(Protocol):
    """The processes of this server, this one among them."""

    def collect(self) -> Iterable[Metric]:
        """The metrics of all, as those of one server."""
        ...

    def statuses(self) -> Sequence[Status]:
        """What each serves."""
        ...

    def ready(self) -> bool:
        """Whether all of them have a model."""
        ...

    async def run(self) -> None:
        """Publish until cancelled."""
        ...


class Alone:
    """A server of one process."""

    def __init__(self, registry: CollectorRegistry, status: Callable[[], Status]) -> None:
        self._registry = registry
        self._status = status

    def collect(self) -> Iterable[Metric]:
        """Its metrics."""
        return self._registry.collect()

    def statuses(self) -> Sequence[Status]:
        """What it serves."""
        return [self._status()]

    def ready(self) -> bool:
        """Whether it has a model."""
        return bool(self._status()["ready"])

    async def run(self) -> None:
        """Nobody reads what it would publish."""


class SeveralProcesses:
    """A server of `workers` processes, seen from one of them. Others are seen as they were at most half a second ago."""

    def __init__(
        self,
        registration: WorkerRegistration,
        registry: CollectorRegistry,
        status: Callable[[], Status],
        *,
        workers: int,
    ) -> None:
        self._registration = registration
        self._registry = registry
        self._status = status
        self._workers = workers
        self._were_complete = False

    def collect(self) -> Iterable[Metric]:
        """The metrics of all processes, also of those that have ended; this one's are exact."""
        running, ended = self._others()
        own = families_of(self._registry.collect())
        return merge([own, *(snapshot.families for snapshot in running)], ended)

    def statuses(self) -> Sequence[Status]:
        """What each process serves, by worker number."""
        running, _ = self._others()
        found = [self._status(), *(snapshot.status for snapshot in running)]
        return sorted(found, key=lambda status: int(status["worker"]))

    def ready(self) -> bool:
        """Whether every running process has a model; at first also whether all have been started."""
        statuses = self.statuses()
        all_ready = all(status["ready"] for status in statuses)
        self._were_complete |= all_ready and len(statuses) >= self._workers
        return all_ready and self._were_complete

    async def run(self) -> None:
        """Publish until cancelled, and once more then."""
        try:
            while True:
                # Many models have many series: requests are answered while they are collected.
                await asyncio.to_thread(self._publish, self._status())
                await asyncio.sleep(_EVERY_SECONDS)
        finally:
            self._publish(self._status())

    def _publish(self, status: Status) -> None:
        try:
            families = families_of(self._registry.collect())
            self._registration.publish(
                WorkerSnapshot(self._registration.process, os.getpid(), status, families)
            )
        except Exception as error:  # neither a full disk nor one bad series may end it
            _log.warning("worker_not_published", problem=str(error) or type(error).__name__)

    def _others(self) -> tuple[list[WorkerSnapshot], list[Any]]:
        running, ended = self._registration.read()
        return [snapshot for snapshot in running if snapshot.process != self._registration.process], ended
