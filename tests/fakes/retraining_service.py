"""The retraining service as a process: start, HTTP requests, kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from kafka import KafkaConsumer, TopicPartition
from kafka.structs import OffsetAndMetadata

from local_stack.ports import free_port
from shared.contracts.topics import VERDICTS
from tests import local_http
from tests.fakes.callers import local_headers
from tests.fakes.retraining_installation import Installation
from tests.waiting import bound, time_factor


class ServiceProcess:
    """`python -m services.retraining` on a free port, or on the one given."""

    def __init__(
        self, installation: Installation, *, kafka: str = "", port: int = 0, **settings: str
    ) -> None:
        self.port = port or free_port()
        self.installation = installation
        self.headers = local_headers(installation.home)
        self._environment = {
            **os.environ,
            "HOMEOSTAT_HOME": str(installation.home),
            "HOMEOSTAT_KAFKA": kafka or "127.0.0.1:1",
            "HOMEOSTAT_RETRAINING_PORT": str(self.port),
            "HOMEOSTAT_RETRAINING_MLFLOW": "false",
            "HOMEOSTAT_RETRAINING_LISTEN": "true" if kafka else "false",
            "HOMEOSTAT_RETRAINING_POLL_SECONDS": "0.05",
            **{f"HOMEOSTAT_RETRAINING_{name.upper()}": value for name, value in settings.items()},
        }
        self.log = installation.home / f"service-{self.port}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *, wait: bool = True) -> None:
        """Start, and wait until it is ready."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "services.retraining"],
                cwd=Path(__file__).parents[2],
                env=self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        if wait:
            wait_for(self.ready, 60, f"the service to be ready; its log: {self.log}")

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def pause(self) -> None:
        """`kill -STOP`: nothing of it runs, and its connections stay open."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """`kill -CONT`."""
        os.kill(self.pid, signal.SIGCONT)

    def wait(self) -> int:
        """Until it ends of its own accord; the exit code."""
        assert self._process is not None
        return self._process.wait(timeout=bound(60))

    def metrics(self) -> str:
        return local_http.get(self.url("/metrics"), timeout=bound(20)).text

    def kill(self) -> None:
        """`kill -9`."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(timeout=bound(10))

    def stop(self) -> int:
        """`SIGTERM`; the exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(timeout=bound(30))
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise AssertionError(
                f"the service did not stop; its log: {self.log.read_text()[-2000:]}"
            ) from None

    def end(self) -> None:
        """Kill the process if it still runs."""
        if self._process is not None and self._process.poll() is None:
            self.kill()

    def ready(self) -> bool:
        """Whether it answers."""
        assert self._process is not None
        if self._process.poll() is not None:
            raise AssertionError(
                f"the service ended with {self._process.returncode}: {self.log.read_text()[-2000:]}"
            )
        try:
            return local_http.get(self.url("/health/ready"), timeout=bound(2)).status_code == 200
        except httpx.TransportError:
            return False

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def get(self, path: str) -> Any:
        answer = local_http.get(self.url(path), timeout=bound(20))
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: Any, *, expect: int | None = None) -> Any:
        answer = local_http.post(self.url(path), json=body, headers=self.headers, timeout=bound(20))
        if expect is not None:
            assert answer.status_code == expect, answer.text
        return answer.json()

    def deploy(self) -> None:
        """The installation's champion and project."""
        body = {
            "version": self.installation.champion,
            "project_directory": str(self.installation.project),
            "actor": "ann",
        }
        url = self.url("/models/toy/deployments")
        local_http.post(url, json=body, headers=self.headers, timeout=bound(20)).raise_for_status()

    def ended_runs(self) -> list[dict[str, Any]]:
        return [run for run in self.get("/runs")["runs"] if run["ended_at"]]


def group_from_now(bootstrap: str) -> str:
    """A consumer group that has read all verdicts so far: those of earlier tests on this broker have the same ids."""
    group = f"test-{uuid4().hex}"
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False)
    try:
        parts = [TopicPartition(VERDICTS.name, part) for part in range(VERDICTS.partitions)]
        ends = consumer.end_offsets(parts)
        consumer.assign(parts)
        consumer.commit({part: OffsetAndMetadata(ends[part], "", -1) for part in parts})
    finally:
        consumer.close()
    return group


def wait_for(condition: Callable[[], object], seconds: float, what: str) -> None:
    """Wait until `condition` holds; fail after `seconds` naming `what`."""
    deadline = time.monotonic() + seconds * time_factor()
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:g} s in vain for {what}")
        time.sleep(0.03)
