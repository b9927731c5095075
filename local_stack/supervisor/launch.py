"""Starts a supervisor: in this process until a signal, or in a process of its own that outlives the terminal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import orjson
from rich.console import Console

from local_stack.observability.processes import Observability
from local_stack.settings import LocalStackSettings
from local_stack.supervisor.process_specs import SOURCES
from local_stack.supervisor.readiness import wait_until_ready
from local_stack.supervisor.supervisor import Supervisor
from shared.contracts.stack_state import StackState
from shared.errors import HomeostatError, OperatorError
from shared.files import keep_files_private
from shared.tls.client_environment import with_absolute_paths

PORTS = (
    *("inference_port", "shipper_port", "drift_port", "retraining_port", "sink_port"),
    *("broker_port", "controller_port", "prometheus_port", "alertmanager_port", "console_port"),
)
STOP_TIMEOUT_S = 120.0
OBSERVABILITY_TIMEOUT_S = 15.0


def run_attached(
    settings: LocalStackSettings,
    *,
    wait_s: float,
    on_ready: Callable[[StackState], None],
    on_progress: Callable[[str], None],
    console: Console | None = None,
    observability: Observability | None = None,
) -> None:
    """Supervise in this process until SIGTERM, SIGINT or SIGHUP.

    `on_ready` is called once every process is ready, `on_progress` with each event worth a line; `console` shows the start.
    Raises `OperatorError` when not everything is ready in `wait_s` seconds; 0 skips the check.
    """
    keep_files_private()
    supervisor = Supervisor(settings, observability=observability, on_progress=on_progress)
    failed: list[HomeostatError] = []
    over = threading.Event()

    def wait() -> None:
        try:
            state = wait_until_ready(
                settings,
                deadline_s=wait_s,
                console=console,
                alive=lambda: not over.is_set(),
                supervisor=os.getpid(),
            )
        except HomeostatError as error:
            if not over.is_set():
                failed.append(error)
                supervisor.stop()
        else:
            on_ready(state)
            report_observability(settings, observability, on_progress, lambda: not over.is_set())

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: supervisor.stop())
    waiter = threading.Thread(target=wait, name="readiness", daemon=True)
    if wait_s > 0:
        waiter.start()
    try:
        supervisor.run()
    finally:
        over.set()
        if wait_s > 0:
            waiter.join(5)
    if failed:
        raise failed[0]
    on_progress("stopped")


def start_detached(
    settings: LocalStackSettings,
    *,
    wait_s: float,
    on_ready: Callable[[StackState], None],
    on_progress: Callable[[str], None],
    console: Console | None = None,
    observability: Observability | None = None,
) -> None:
    """Start a supervisor in its own session and return once every process is ready; the arguments are those of `run_attached`.

    Raises the supervisor's own error, or `OperatorError` when not everything is ready in `wait_s` seconds; then the
    supervisor is stopped again.
    """
    keep_files_private()
    log = settings.home.absolute() / "logs" / "supervisor.log"
    answer = settings.home.absolute() / "run" / "answer.json"
    for path in (log, answer):
        path.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as errors, answer.open("wb") as result:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "cli", "up", "--json", "--wait=0"),
                f"--home={settings.home.absolute()}",
                *(f"--{name.replace('_', '-')}={getattr(settings, name)}" for name in PORTS),
                *(["--observability"] if observability is not None else []),
            ],
            stdin=subprocess.DEVNULL,
            stdout=result,
            stderr=errors,
            start_new_session=True,
            cwd=SOURCES,
            env=with_absolute_paths(os.environ),
        )
    try:
        state = wait_until_ready(
            settings,
            deadline_s=wait_s,
            console=console,
            alive=lambda: process.poll() is None,
            supervisor=process.pid,
        )
    except OperatorError as error:
        if process.poll() is None:
            process.terminate()
            process.wait(STOP_TIMEOUT_S)
            raise
        raise _start_error(answer, log) from error
    on_ready(state)
    report_observability(settings, observability, on_progress, lambda: process.poll() is None)


def report_observability(
    settings: LocalStackSettings,
    observability: Observability | None,
    on_progress: Callable[[str], None],
    alive: Callable[[], bool],
) -> None:
    """Report a Prometheus or Alertmanager that is not ready in time; the stack runs without it."""
    if observability is not None:
        try:
            wait_until_ready(
                settings,
                deadline_s=OBSERVABILITY_TIMEOUT_S,
                names=[spec.name for spec in observability.specs],
                alive=alive,
            )
        except OperatorError as error:
            on_progress(f"{error.message}; the stack runs without it. {error.hint}")


def _start_error(answer: Path, log: Path) -> OperatorError:
    """The error the supervisor printed before it exited."""
    with suppress(OSError, orjson.JSONDecodeError, KeyError, TypeError):
        printed = orjson.loads(answer.read_bytes())
        return OperatorError(str(printed["error"]), hint=str(printed["hint"]))
    return OperatorError("the supervisor exited without an error message", hint=f"read {log}")
