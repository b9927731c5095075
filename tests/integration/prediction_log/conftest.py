"""Real processes against the session's real broker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from local_stack.kafka.broker import Broker
from tests.fakes.log_processes import LogProcesses


@pytest.fixture
def processes(tmp_path: Path, kafka_broker: Broker) -> Iterator[LogProcesses]:
    """Load, shipper and sink, none started yet."""
    processes = LogProcesses(tmp_path, kafka_broker.bootstrap)
    yield processes
    processes.close()
