from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter

from services.inference.workers.peers import SeveralProcesses
from services.inference.workers.registration import WorkerRegistration

PARENT = f"{os.getpid()}-1"


class Process:
    """One of several processes, in this one."""

    def __init__(self, root: Path, *, workers: int = 2) -> None:
        self.registration = WorkerRegistration.take(root, PARENT)
        registry = CollectorRegistry()
        self.rows = Counter("rows", "Rows.", registry=registry)
        self.is_ready = True
        self.peers = SeveralProcesses(self.registration, registry, self.status, workers=workers)

    def status(self) -> dict[str, Any]:
        return {"worker": self.registration.number, "ready": self.is_ready}

    def publish(self) -> None:
        async def run() -> None:
            task = asyncio.create_task(self.peers.run())
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])

        asyncio.run(run())

    def total(self) -> float:
        return sum(
            sample.value
            for metric in self.peers.collect()
            for sample in metric.samples
            if sample.name == "rows_total"
        )


def test_own_counts_are_exact_and_those_of_others_published(tmp_path: Path) -> None:
    one, two = Process(tmp_path), Process(tmp_path)
    one.rows.inc(3)
    assert (one.total(), two.total()) == (3, 0)
    one.publish()
    two.rows.inc(4)
    assert (one.total(), two.total()) == (3, 7)
    two.publish()
    assert one.total() == two.total() == 7
    assert [status["worker"] for status in two.peers.statuses()] == [1, 2]


def test_server_is_ready_when_every_process_was_and_none_lags(tmp_path: Path) -> None:
    one = Process(tmp_path)
    one.publish()
    assert not one.peers.ready()  # the other is not started yet
    two = Process(tmp_path)
    two.is_ready = False
    two.publish()
    assert not one.peers.ready()
    two.is_ready = True
    two.publish()
    assert one.peers.ready()
    one.is_ready = False
    assert not one.peers.ready()


def test_process_that_ended_does_not_make_the_rest_unready(tmp_path: Path) -> None:
    one, two = Process(tmp_path), Process(tmp_path)
    two.publish()
    assert one.peers.ready()
    (tmp_path / PARENT / "2.json").unlink()
    assert one.peers.ready()


def test_failed_publication_does_not_end_the_next(tmp_path: Path) -> None:
    one, two = Process(tmp_path), Process(tmp_path)
    one.rows.inc(3)

    async def run() -> None:
        task = asyncio.create_task(one.peers.run())
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.wait([task])

    folder = one.registration._folder
    one.registration._folder = tmp_path / "gone"
    asyncio.run(run())
    one.registration._folder = folder
    one.publish()
    assert two.total() == 3
