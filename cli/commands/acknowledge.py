"""`homeostat acknowledge`: record that a person has seen a decision."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from cli.command_settings import client_settings
from cli.completion import complete_cause
from cli.home import find_home
from cli.options import Actor, Json, RetrainingUrl, StackHome
from cli.output import command_output
from local_stack.addresses import addresses
from shared.errors import CallerError, NotFound
from shared.http.service_client import ServiceClient, items

LISTED = 1000
MIN_KEY_LENGTH = 6


def acknowledge(
    cause: Annotated[
        str,
        typer.Argument(
            help="Cause key as shown by decisions, verdicts and alerts (at least its first 6 characters), or a run id.",
            autocompletion=complete_cause,
        ),
    ],
    note: Annotated[str, typer.Option(help="Note, recorded with the acknowledgement.")] = "",
    and_older: Annotated[
        bool,
        typer.Option(
            "--and-older", help="Also acknowledge every older unacknowledged decision of the same model."
        ),
    ] = False,
    actor: Actor = "",
    home: StackHome = None,
    retraining_url: RetrainingUrl = "",
    as_json: Json = False,
) -> None:
    """Record that you have seen a decision about drift, a data fault, or a run that failed or was refused.

    The first acknowledgement of a cause is kept; a repeated one changes nothing.
    """
    with command_output(as_json) as output:
        home = find_home(home, retraining_url, note=output.note)
        where = addresses(client_settings(home, retraining_url=retraining_url))
        with where.client("retraining") as retraining:
            key = full_key(retraining, cause)
            body: dict[str, object] = {"actor": where.actor(actor)}
            if note:
                body["note"] = note
            if and_older:
                body["and_older"] = True
            answer = retraining.post(f"/causes/{key}/acknowledge", body)
        found = answer.get("acknowledged") or answer.get("acknowledgement") or answer
        noted = f", note: {found['note']}" if found.get("note") else ""
        older = int(answer.get("acknowledged_older") or 0)
        also = f"; {older} older decisions too" if and_older else ""
        output.result(answer, f"cause {key}: acknowledged by {found.get('actor', '')}{noted}{also}")


def full_key(retraining: ServiceClient, cause: str) -> str:
    """The cause of a run, or the one whose key begins with `cause` among the newest decisions.

    Raises `NotFound` where there is none, `CallerError` where there are several.
    """
    if cause.startswith("run-"):
        return str(retraining.get(f"/runs/{cause}")["cause_key"])
    if re.fullmatch("[0-9a-f]{32}", cause):
        return cause
    if len(cause) < MIN_KEY_LENGTH:
        raise CallerError(
            f"{cause!r} is too short for a cause key",
            hint=f"give at least its first {MIN_KEY_LENGTH} characters",
        )
    decisions = items(retraining.get("/decisions", limit=LISTED), "decisions")
    newest = list(dict.fromkeys(str(one["cause_key"]) for one in decisions))
    found = sorted(key for key in newest if key.startswith(cause))
    if not found:
        raise NotFound(
            f"no decision has a cause that begins with {cause}"
            + (f"; the newest are {', '.join(key[:12] for key in newest[:5])}" if newest else ""),
            hint="the console lists the open decisions",
        )
    if len(found) > 1:
        raise CallerError(
            f"{len(found)} causes begin with {cause}", hint=f"give more characters, such as {found[0][:16]}"
        )
    return found[0]
