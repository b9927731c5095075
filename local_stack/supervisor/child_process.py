"""One supervised process: started in its own process group, monitored and stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psutil

from local_stack.supervisor.process_specs import ProcessSpec
from local_stack.supervisor.restart_policy import Restarts
from shared.contracts.stack_state import ProcessState

MAX_LOG_BYTES = 32 << 20


class Child:
    """A process that is restarted when it exits. `restarts` is its restart history; times are of the monotonic clock."""

    def __init__(self, spec: ProcessSpec, environment: Mapping[str, str], log: Path, host: str) -> None:
        self.spec = spec
        self.log = log
        self.restarts = Restarts()
        self._environment = dict(environment)
        self._host = host
        self._process: subprocess.Popen[bytes] | None = None
        self._created = 0.0
        self._started = 0.0

    @property
    def ready_url(self) -> str:
        """URL of its readiness route; empty for the broker, which has no HTTP."""
        if not self.spec.ready_path:
            return ""
        return f"{self.spec.scheme}://{self._host}:{self.spec.port}{self.spec.ready_path}"

    @property
    def was_started(self) -> bool:
        """Whether it has been started."""
        return self._process is not None

    @property
    def exit_status(self) -> int | None:
        """Its exit status; None while it runs."""
        return self._process.poll() if self._process is not None else None

    def start(self) -> None:
        """Start it; its output is appended to its log. A log that is too large is renamed to `<name>.log.1` first."""
        if self.log.exists() and self.log.stat().st_size > MAX_LOG_BYTES:
            self.log.replace(self.log.with_name(f"{self.log.name}.1"))
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.spec.command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._started = time.monotonic()
        try:
            self._created = psutil.Process(self._process.pid).create_time()
        except psutil.Error:  # it has exited already; the next check notices
            self._created = time.time()

    def tend(self, now: float) -> bool:
        """Restart it if it has exited and its pause is over. Returns whether something changed.

        1. It died: what is left of its group is ended, since it may hold the port; the pause is decided.
        2. The pause is over: it is started.
        """
        if not self.was_started:
            return False
        if self.restarts.due is None:
            if self.exit_status is None:
                return False
            self._signal_group(signal.SIGKILL)
            self.restarts = self.restarts.died(started=self._started, now=now)
            return True
        if self.restarts.is_due(now):
            self.start()
            self.restarts = self.restarts.started()
            return True
        return False

    def stop(self, *, grace_s: float) -> None:
        """Send SIGTERM; after `grace_s` seconds kill its process group."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(grace_s)
        self._signal_group(signal.SIGKILL)
        self._process.wait(10)

    def state(self) -> ProcessState | None:
        """Its entry in the state file; None before its first start."""
        if self._process is None:
            return None
        return ProcessState(
            name=self.spec.name,
            pid=self._process.pid,
            created=self._created,
            port=self.spec.port,
            restarts=self.restarts.count,
            log=str(self.log),
            ready_url=self.ready_url,
        )

    def _signal_group(self, number: signal.Signals) -> None:
        assert self._process is not None
        try:
            os.killpg(self._process.pid, number)
        except (ProcessLookupError, PermissionError):
            return
