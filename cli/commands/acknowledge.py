"""`homeostat acknowledge`: a person has seen a decision that waits for people."""

from __future__ import annotations

import getpass
import re
from typing import Annotated

import typer

from cli.command_settings import settings_with
from cli.completion import complete_cause
from cli.options import Actor, Home, Json, RetrainingUrl
from cli.output import telling
from local_stack.addresses import addresses
from shared.errors import CallerError, NotFound
from shared.http.service_client import ServiceClient, items

LISTED = 1000
SHORTEST = 6


def acknowledge(
    cause: Annotated[
        str,
        typer.Argument(
            help="Key of the cause, as decisions, verdicts and alerts name it (its first 6 characters will do), or a run.",
            autocompletion=complete_cause,
        ),
    ],
    note: Annotated[str, typer.Option(help="What you have to say about it, for the record.")] = "",
    and_older: Annotated[
        bool,
        typer.Option("--and-older", help="Also every older decision of the same model that still waits."),
    ] = False,
    actor: Actor = "",
    home: Home = None,
    retraining_url: RetrainingUrl = "",
    as_json: Json = False,
) -> None:
    """Record that you have seen a decision: drift, a data fault, or a run that failed or was refused.

    The first acknowledgement of a cause stands; the same again changes nothing.
    """
    with telling(as_json) as teller:
        where = addresses(settings_with(home, retraining_url=retraining_url))
        with ServiceClient("retraining", where.retraining) as retraining:
            key = full_key(retraining, cause)
            body: dict[str, object] = {"actor": actor or getpass.getuser()}
            if note:
                body["note"] = note
            if and_older:
                body["and_older"] = True
            answer = retraining.post(f"/causes/{key}/acknowledge", body)
        found = answer.get("acknowledged") or answer.get("acknowledgement") or answer
        said = f", saying: {found['note']}" if found.get("note") else ""
        older = int(answer.get("acknowledged_older") or 0)
        also = f"; and {older} older" if and_older else ""
        teller.result(answer, f"cause {key}: acknowledged by {found.get('actor', '')}{said}{also}")


def full_key(retraining: ServiceClient, cause: str) -> str:
    """The cause of a run, or the one whose key begins with `cause` among the newest decisions.

    Raises `NotFound` where there is none, `CallerError` where there are several.
    """
    if cause.startswith("run-"):
        return str(retraining.get(f"/runs/{cause}")["cause_key"])
    if re.fullmatch("[0-9a-f]{32}", cause):
        return cause
    if len(cause) < SHORTEST:
        raise CallerError(
            f"{cause!r} is too short to name a cause", hint=f"give its first {SHORTEST} characters at least"
        )
    keys = {str(one["cause_key"]) for one in items(retraining.get("/decisions", limit=LISTED), "decisions")}
    found = sorted(key for key in keys if key.startswith(cause))
    if not found:
        raise NotFound(
            f"no decision is about a cause {cause}",
            hint="`homeostat report` and the console list what there is",
        )
    if len(found) > 1:
        raise CallerError(f"{cause} is the beginning of {len(found)} causes", hint=f"say more of {found[0]}")
    return found[0]
