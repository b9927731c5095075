"""Starting a supervisor: in this process until it is told to end, or in one of its own that outlives the terminal."""

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
from rich.table import Table

from cli.output import Teller
from local_stack.observability.processes import Observability
from local_stack.settings import LocalStackSettings
from local_stack.state import StackState
from local_stack.supervisor.process_specs import SOURCES
from local_stack.supervisor.readiness import wait_until_ready
from local_stack.supervisor.supervisor import Supervisor
from shared.errors import HomeostatError, OperatorError

PORTS = (
    *("inference_port", "shipper_port", "drift_port", "retraining_port", "sink_port"),
    *("broker_port", "controller_port", "prometheus_port", "alertmanager_port", "console_port"),
)
ENDING_S = 120.0
WATCHING_S = 15.0


def run_attached(
    settings: LocalStackSettings, teller: Teller, wait_s: float, observability: Observability | None = None
) -> None:
    """Supervise here until SIGTERM, Ctrl-C or the terminal's end, with `observability` beside the stack where there is one.

    Raises `OperatorError` when not everything is ready in `wait_s` seconds; 0: nobody looks.
    """
    # What happens to a process is news also for those who want the result as JSON.
    supervisor = Supervisor(
        settings,
        observability=observability,
        told=lambda text: teller.err.print(text, markup=False, soft_wrap=True),
    )
    failed: list[HomeostatError] = []
    over = threading.Event()

    def watch() -> None:
        try:
            state = wait_until_ready(
                settings,
                deadline_s=wait_s,
                console=None if teller.as_json else teller.err,
                alive=lambda: not over.is_set(),
                supervisor=os.getpid(),
            )
        except HomeostatError as error:
            if not over.is_set():
                failed.append(error)
                supervisor.stop()
        else:
            tell_links(teller, state)
            note_observability(settings, teller, observability, lambda: not over.is_set())

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: supervisor.stop())
    watcher = threading.Thread(target=watch, name="watch", daemon=True)
    if wait_s > 0:
        watcher.start()
    try:
        supervisor.run()
    finally:
        over.set()
        if wait_s > 0:
            watcher.join(5)
    if failed:
        raise failed[0]
    teller.note("stopped")


def start_detached(
    settings: LocalStackSettings, teller: Teller, wait_s: float, observability: Observability | None = None
) -> None:
    """Start a supervisor in a session of its own and return once everything is ready.

    Raises what it raised, or `OperatorError` when not everything is ready in `wait_s` seconds; then it is ended again.
    """
    log = settings.home.absolute() / "logs" / "supervisor.log"
    answer = settings.home.absolute() / "run" / "answer.json"
    for path in (log, answer):
        path.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as notes, answer.open("wb") as result:
        process = subprocess.Popen(
            [
                *(
                    sys.executable,
                    "-m",
                    "cli",
                    "up",
                    "--json",
                    "--wait=0",
                    f"--home={settings.home.absolute()}",
                ),
                *(f"--{name.replace('_', '-')}={getattr(settings, name)}" for name in PORTS),
                *(["--observability"] if observability is not None else []),
            ],
            stdin=subprocess.DEVNULL,
            stdout=result,
            stderr=notes,
            start_new_session=True,
            cwd=SOURCES,
        )
    try:
        state = wait_until_ready(
            settings,
            deadline_s=wait_s,
            console=None if teller.as_json else teller.err,
            alive=lambda: process.poll() is None,
            supervisor=process.pid,
        )
    except OperatorError as error:
        if process.poll() is None:
            process.terminate()
            process.wait(ENDING_S)
            raise
        raise _last_words(answer, log) from error
    tell_links(teller, state)
    note_observability(settings, teller, observability, lambda: process.poll() is None)


def note_observability(
    settings: LocalStackSettings,
    teller: Teller,
    observability: Observability | None,
    alive: Callable[[], bool],
) -> None:
    """Give what watches the stack a moment to be ready, and say so where it is not: the stack runs on either way."""
    if observability is not None:
        try:
            wait_until_ready(
                settings,
                deadline_s=WATCHING_S,
                names=[spec.name for spec in observability.specs],
                alive=alive,
            )
        except OperatorError as error:
            teller.note(f"{error.message}; the stack runs without. {error.hint}")


def tell_links(teller: Teller, state: StackState) -> None:
    """The pages worth opening, where Kafka listens, where the data lies."""
    table = Table(box=None, show_header=False)
    for name, url in state.urls.items():
        table.add_row(name, f"[link={url}]{url}[/]")
    table.add_row("kafka", state.kafka)
    table.add_row("data", state.home)
    teller.result(state.model_dump(), table)


def _last_words(answer: Path, log: Path) -> OperatorError:
    """Why the supervisor ended, as it told itself."""
    with suppress(OSError, orjson.JSONDecodeError, KeyError, TypeError):
        said = orjson.loads(answer.read_bytes())
        return OperatorError(str(said["error"]), hint=str(said["hint"]))
    return OperatorError("the supervisor ended without a word", hint=f"read {log}")
