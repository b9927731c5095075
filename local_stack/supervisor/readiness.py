"""Waits until the processes a supervisor started are ready."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING

from local_stack.kafka.ping import broker_answers
from local_stack.state import read_state
from local_stack.supervisor.process_specs import BROKER, services
from shared.contracts.stack_state import ProcessState, StackState
from shared.errors import OperatorError
from shared.http.service_client import send_request
from shared.observability.monitoring_login import installation_login

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from local_stack.settings import LocalStackSettings

PAUSE_S = 0.25
WITH_LOGIN = ("prometheus", "alertmanager")


def is_ready(process: ProcessState, state: StackState) -> bool:
    """Whether a process of a stack works: the broker answers clients, a service answers 200 at its readiness route."""
    if not process.ready_url:
        return broker_answers(state.kafka)
    try:
        # Our own services need no key there; Prometheus and Alertmanager need a login everywhere.
        login = installation_login(Path(state.home)) if process.name in WITH_LOGIN else None
        authorization = login.authorization if login is not None else ""
        return send_request("GET", process.ready_url, timeout_s=2.0, authorization=authorization)[0] == 200
    except (OSError, HTTPException, OperatorError):
        return False


def wait_until_ready(
    settings: LocalStackSettings,
    *,
    deadline_s: float,
    alive: Callable[[], bool] = lambda: True,
    console: Console | None = None,
    names: Sequence[str] | None = None,
    supervisor: int | None = None,
) -> StackState:
    """Return the state once every process in `names` (default: all core processes) is ready; `console` shows progress.
    With `supervisor`, its pid, the state file of an earlier supervisor is ignored.

    Raises `OperatorError` naming the processes that are not ready and their logs, after `deadline_s` seconds or once
    `alive` is false.
    """
    from rich.console import Console
    from rich.live import Live

    if names is None:
        names = [BROKER, *(spec.name for spec in services(settings) if spec.is_core)]
    ready: set[str] = set()
    began = time.monotonic()
    with Live(
        _table(names, ready, None, 0.0), console=console or Console(quiet=True), transient=False
    ) as live:
        while True:
            state = read_state(settings.home)
            if state is not None and supervisor not in (None, state.pid):
                state = None
            processes = {process.name: process for process in state.processes} if state is not None else {}
            # The broker is checked until it has answered once.
            ready = {
                name
                for name, process in processes.items()
                if (name == BROKER and name in ready) or (state is not None and is_ready(process, state))
            }
            waited = time.monotonic() - began
            live.update(_table(names, ready, state, waited))
            if state is not None and ready >= set(names):
                break
            if waited > deadline_s or not alive():
                state = None
                break
            time.sleep(PAUSE_S)
    if console is not None and not console.is_terminal:
        console.line()  # outside a terminal the table is printed once, without a final line break
    if state is None:
        raise _not_ready(names, ready, settings.home, waited)
    return state


def _not_ready(names: Sequence[str], ready: set[str], home: Path, waited: float) -> OperatorError:
    missing = [name for name in names if name not in ready]
    logs = home.absolute() / "logs"
    return OperatorError(
        f"not ready after {waited:.0f} s: {', '.join(missing)}",
        hint="read " + ", ".join(str(logs / f"{name}.log") for name in missing),
    )


def _table(names: Sequence[str], ready: set[str], state: StackState | None, waited: float) -> Table:
    from rich.table import Table

    table = Table(title=f"starting, {waited:.0f} s", title_justify="left", box=None, show_header=False)
    restarts = {process.name: process.restarts for process in state.processes} if state is not None else {}
    for name in names:
        if name in ready:
            shown = "[green]ready[/]"
        elif name in restarts:
            shown = "starting" + (f" [yellow]({restarts[name]} restarts)[/]" if restarts[name] else "")
        else:
            shown = "[dim]not started[/]"
        table.add_row(name, shown)
    return table
