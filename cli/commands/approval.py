"""`homeostat approve` and `homeostat reject`: the word a run at level `approve` waits for."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated

import typer

from cli.command_settings import settings_with
from cli.completion import complete_waiting_run
from cli.options import Actor, Home, Json, RetrainingUrl
from cli.output import telling
from local_stack.addresses import addresses
from shared.http.service_client import ServiceClient

Run = Annotated[
    str,
    typer.Argument(
        help="Id of the run, as the console and /runs show it.", autocompletion=complete_waiting_run
    ),
]


def approve(
    run: Run, actor: Actor = "", home: Home = None, retraining_url: RetrainingUrl = "", as_json: Json = False
) -> None:
    """Let a run's challenger take the champion's place."""
    _decide(run, "approve", actor, home, retraining_url, as_json)


def reject(
    run: Run, actor: Actor = "", home: Home = None, retraining_url: RetrainingUrl = "", as_json: Json = False
) -> None:
    """Refuse a run's challenger."""
    _decide(run, "reject", actor, home, retraining_url, as_json)


def _decide(run: str, word: str, actor: str, home: Path | None, retraining_url: str, as_json: bool) -> None:
    with telling(as_json) as teller:
        where = addresses(settings_with(home, retraining_url=retraining_url))
        with ServiceClient("retraining", where.retraining) as retraining:
            answer = retraining.post(f"/runs/{run}/{word}", {"actor": actor or getpass.getuser()})
        state = answer.get("state") if isinstance(answer, dict) else None
        teller.result(answer, f"run {run}: {word}d" + (f", now {state}" if state else ""))
