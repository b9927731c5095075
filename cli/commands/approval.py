"""`homeostat approve` and `homeostat reject`: decide about a run that is waiting for approval."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated

import typer

from cli.command_settings import client_settings
from cli.completion import complete_waiting_run
from cli.home import find_home
from cli.known_names import listing, waiting_runs
from cli.options import Actor, Json, RetrainingUrl, StackHome
from cli.output import command_output
from local_stack.addresses import addresses
from shared.http.service_client import ServiceClient

Run = Annotated[
    str,
    typer.Argument(help="Run id (run-…), as shown in the console.", autocompletion=complete_waiting_run),
]


def approve(
    run: Run,
    actor: Actor = "",
    home: StackHome = None,
    retraining_url: RetrainingUrl = "",
    as_json: Json = False,
) -> None:
    """Approve a run: a suggested run starts, or its challenger is released."""
    _decide(run, "approve", actor, home, retraining_url, as_json)


def reject(
    run: Run,
    actor: Actor = "",
    home: StackHome = None,
    retraining_url: RetrainingUrl = "",
    as_json: Json = False,
) -> None:
    """Reject a run: it does not start, or its challenger is not released."""
    _decide(run, "reject", actor, home, retraining_url, as_json)


def _decide(run: str, word: str, actor: str, home: Path | None, retraining_url: str, as_json: bool) -> None:
    with command_output(as_json) as output:
        home = find_home(home, retraining_url, note=output.note)
        where = addresses(client_settings(home, retraining_url=retraining_url))
        with (
            ServiceClient("retraining", where.retraining) as retraining,
            listing(lambda: waiting_runs(where)),
        ):
            answer = retraining.post(f"/runs/{run}/{word}", {"actor": actor or getpass.getuser()})
        state = answer.get("state") if isinstance(answer, dict) else None
        output.result(answer, f"run {run}: {word}d" + (f", now {state}" if state else ""))
