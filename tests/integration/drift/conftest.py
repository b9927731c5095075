"""An installation on disk, and drift as a process on it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.drift.processes import Process, Start
from tests.unit.services.drift.world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Process] = []

    def begin(kafka: str, **environment: str) -> Process:
        started.append(Process(tmp_path, kafka, **environment))
        return started[-1]

    yield begin
    for process in started:
        if process.child.poll() is None:
            process.end(signal.SIGKILL)
