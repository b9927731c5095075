"""`python -m services.drift` as a process, and what it published."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from kafka import KafkaConsumer

from local_stack.kafka.broker import Broker
from local_stack.ports import free_port
from shared.contracts.manifest import Manifest
from shared.contracts.topics import VERDICTS
from shared.contracts.verdict import Verdict
from tests import local_http
from tests.unit.services.drift.world import World, loop, ordinary
from tests.waiting import bound, time_factor

Start = Callable[..., "Process"]  # of the broker's address, with further variables


def eventually(found: Callable[[], Any], what: str, seconds: float = 60.0) -> Any:
    """Ask until there is an answer that counts as true; fails with `what` after `seconds`."""
    deadline = time.monotonic() + seconds * time_factor()
    while time.monotonic() < deadline:
        answer = found()
        if answer:
            return answer
        time.sleep(0.1)
    pytest.fail(f"not within {seconds:g} s: {what}")


class Process:
    """`python -m services.drift` on its own home."""

    def __init__(self, home: Path, kafka: str, **environment: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.home = home
        self.log = (home / "drift.log").open("ab")
        self.child = subprocess.Popen(
            [sys.executable, "-m", "services.drift"],
            env=os.environ
            | {
                "HOMEOSTAT_HOME": str(home),
                "HOMEOSTAT_KAFKA": kafka,
                "HOMEOSTAT_DRIFT_PORT": str(self.port),
                "HOMEOSTAT_DRIFT_POLL_SECONDS": "0.1",
                "HOMEOSTAT_DRIFT_PUBLISH_RETRY_SECONDS": "0.2",
                "HOMEOSTAT_DRIFT_PUBLISH_TIMEOUT_SECONDS": "5",
                **environment,
            },
            stdout=self.log,
            stderr=self.log,
        )
        eventually(lambda: self.get("/health/ready") is not None, "drift is ready", 120)

    def get(self, path: str) -> Any:
        """The JSON at `path`; None where there is none (yet)."""
        try:
            answer = local_http.get(self.url + path, timeout=bound(10))
        except httpx.TransportError:
            return None
        return answer.json() if answer.status_code == 200 else None

    def metrics(self) -> dict[str, float]:
        """Every series by its name and labels, as Prometheus reads them."""
        lines = local_http.get(f"{self.url}/metrics", timeout=bound(10)).text.splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        return {series: float(value) for series, value in pairs}

    def end(self, by: signal.Signals = signal.SIGTERM) -> int:
        """Stop the process; returns its exit code."""
        self.child.send_signal(by)
        code = self.child.wait(timeout=bound(20))
        self.log.close()
        return code


def release(world: World, model: str, **changes: object) -> Manifest:
    manifest = world.version(loop(model=model, **changes), ordinary(5000, 1), model)
    world.release(manifest)
    return manifest


def published(
    broker: Broker, model: str, count: int, *, after_kill: bool = False
) -> list[tuple[Verdict, dict[str, str]]]:
    """The records about a model on the topic, once there are `count`, with their headers.

    `after_kill`: equal records count once, since a verdict that was published but not marked as such is published again.
    """
    consumer = KafkaConsumer(
        VERDICTS.name, bootstrap_servers=broker.bootstrap, auto_offset_reset="earliest", group_id=None
    )
    found: list[tuple[Verdict, dict[str, str]]] = []
    seen: set[bytes] = set()

    def poll() -> bool:
        for records in consumer.poll(timeout_ms=200).values():
            for record in records:
                if record.key == model.encode() and not (after_kill and record.value in seen):
                    seen.add(record.value)
                    headers = {name: value.decode() for name, value in record.headers}
                    found.append((Verdict.model_validate(orjson.loads(record.value)), headers))
        return len(found) >= count

    try:
        eventually(poll, f"{count} verdicts about {model} on the topic", 30)
    finally:
        consumer.close()
    return found
