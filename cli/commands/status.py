"""`homeostat status`: what runs, and how it is."""

from __future__ import annotations

import time

import typer
from rich.table import Table

from cli.command_settings import settings_with
from cli.options import Home, Json
from cli.output import FOUND_SOMETHING, telling
from local_stack.state import ProcessState, read_state
from local_stack.supervisor.lock import is_supervised
from local_stack.supervisor.orphans import is_alive
from local_stack.supervisor.readiness import is_ready
from shared.errors import NotFound


def status(home: Home = None, as_json: Json = False) -> None:
    """Show every process of the stack; exit code 1 when one is not ready."""
    with telling(as_json) as teller:
        settings = settings_with(home)
        state = read_state(settings.home)
        if state is None:
            raise NotFound(
                f"nothing was started on {settings.home}",
                hint="start it with `homeostat up`, or name another --home",
            )
        supervised = is_supervised(settings.home)
        rows = [_row(process, state.kafka) for process in state.processes]
        table = Table(box=None)
        for column in ("process", "state", "pid", "port", "restarts", "up", "log"):
            table.add_column(column)
        for row in rows:
            colour = "green" if row["state"] == "ready" else "yellow" if row["state"] == "starting" else "red"
            table.add_row(
                str(row["name"]),
                f"[{colour}]{row['state']}[/]",
                *(str(row[key]) for key in ("pid", "port", "restarts")),
                f"{row['up_seconds']} s",
                str(row["log"]),
            )
        well = supervised and all(row["state"] == "ready" for row in rows)
        if not supervised:
            table.caption = "no supervisor: what dies stays dead. Start it again with `homeostat up`"
        teller.result(
            {
                "home": state.home,
                "supervised": supervised,
                "ready": well,
                "urls": state.urls,
                "processes": rows,
            },
            table,
        )
        if not well:
            raise typer.Exit(FOUND_SOMETHING)


def _row(process: ProcessState, kafka: str) -> dict[str, object]:
    alive = is_alive(process)
    return {
        "name": process.name,
        "state": "ready" if alive and is_ready(process, kafka) else "starting" if alive else "dead",
        "pid": process.pid,
        "port": process.port,
        "restarts": process.restarts,
        "up_seconds": round(time.time() - process.created) if alive else 0,
        "log": process.log,
    }
