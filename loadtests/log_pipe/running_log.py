"""Broker, shipper and sink as processes, and a wait for rows in the lake."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loadtests.log_pipe.rows import MODEL
from local_stack.kafka.broker import local_broker
from local_stack.kafka.config_files import BrokerFiles
from local_stack.ports import free_port
from local_stack.settings import LocalStackSettings
from shared.models.signed_versions.installation_keys import ensure_keys
from shared.stores.lake import Lake
from shared.stores.lake_statistics import count_predictions

PROCESSES = ("shipper", "sink")
_WAIT_SECONDS = 300.0


@contextmanager
def running_log(home: Path, **settings: str) -> Iterator[dict[str, int]]:
    """Broker, shipper and sink with `home`; the process ids of the last two by name."""
    broker = local_broker(
        BrokerFiles(home / "kafka", port=free_port(), controller_port=free_port()), LocalStackSettings()
    )
    broker.start()
    ensure_keys(home)
    environment = dict(
        os.environ,
        HOMEOSTAT_HOME=str(home), HOMEOSTAT_KAFKA=broker.bootstrap, HOMEOSTAT_LOG_LEVEL="error",
        HOMEOSTAT_SHIPPER_PORT="0", HOMEOSTAT_SINK_PORT="0", **settings,
    )  # fmt: skip
    processes: dict[str, subprocess.Popen[bytes]] = {}
    try:
        broker.create_topics()
        for name in PROCESSES:
            command = [sys.executable, "-m", "services.prediction_log", name]
            processes[name] = subprocess.Popen(command, env=environment)
        yield {name: process.pid for name, process in processes.items()}
    finally:
        for process in processes.values():
            process.terminate()
        for process in processes.values():
            process.wait(30)
        broker.stop()


def wait_for_rows(lake: Lake, rows: int) -> None:
    """Wait until the lake has that many rows; ends the program if it never has."""
    deadline = time.monotonic() + _WAIT_SECONDS
    while time.monotonic() < deadline:
        if count_predictions(lake, MODEL) >= rows:
            return
        time.sleep(0.02)
    raise SystemExit(f"error: {rows} rows were not in the lake within {_WAIT_SECONDS:.0f} s")
