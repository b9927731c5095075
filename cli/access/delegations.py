"""`homeostat delegations`: let another person or program approve runs in your place, for a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from cli.command_group import CommandGroup
from cli.command_settings import client_settings
from cli.completion import complete_model
from cli.home import find_home
from cli.options import Actor, Json, RetrainingUrl, StackHome
from cli.output import Output, command_output
from local_stack.addresses import addresses
from shared.contracts.duration import parse_duration
from shared.errors import CallerError
from shared.http.service_client import items

delegations = typer.Typer(
    cls=CommandGroup,
    help="Let another person or program approve and reject runs in your place, for a time.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@delegations.command(epilog="Example: homeostat delegations create bob --for 7d --model parcels")
def create(
    name: Annotated[str, typer.Argument(help="Name of the API key or token that may approve in your place.")],
    lasts: Annotated[str, typer.Option("--for", help="For how long, at most 90d, such as 12h or 7d.")],
    model: Annotated[
        str,
        typer.Option(help="Only runs of this model. Default: of all models.", autocompletion=complete_model),
    ] = "",
    note: Annotated[str, typer.Option(help="Why; it is recorded.")] = "",
    actor: Actor = "",
    home: StackHome = None,
    retraining_url: RetrainingUrl = "",
    as_json: Json = False,
) -> None:
    """Delegate your approvals. Needs a key with the scope approve; the delegate's key or token needs no scope.

    A run that you requested yourself cannot be approved in your place. It ends early if your key is revoked or expires.
    """
    with command_output(as_json) as output:
        until = datetime.now(UTC) + _duration(lasts)
        body = {"delegate": name, "until": until.isoformat(), "model": model, "note": note}
        with _retraining(output, home, retraining_url, actor) as (client, who):
            made = client.post("/delegations", {**body, "actor": who})
        for text in made.get("notes", ()):
            output.note(str(text))
        given = made["delegation"]
        output.result(
            made,
            f"delegation {given['id']}: {given['delegate']} approves {given['model'] or 'all models'} for {given['delegator']} "
            f"until {_time(given['ends_at'])}",
        )


@delegations.command("list", epilog="Example: homeostat delegations list --all")
def list_delegations(
    every: Annotated[bool, typer.Option("--all", help="Also show delegations that have ended.")] = False,
    home: StackHome = None,
    retraining_url: RetrainingUrl = "",
    as_json: Json = False,
) -> None:
    """List delegations of approvals, newest first."""
    with command_output(as_json) as output:
        with _retraining(output, home, retraining_url) as (client, _):
            found = items(client.get("/delegations", limit=1000), "delegations")
        shown = [one for one in found if every or one["active"]]
        output.result({"delegations": shown}, _table(shown) if shown else "no delegations")


@delegations.command(epilog="Example: homeostat delegations revoke 3")
def revoke(
    number: Annotated[
        int, typer.Argument(help="Number of the delegation, as `homeostat delegations list` shows it.")
    ],
    actor: Actor = "",
    home: StackHome = None,
    retraining_url: RetrainingUrl = "",
    as_json: Json = False,
) -> None:
    """End a delegation now. Only its creator and people with the scope admin can."""
    with command_output(as_json) as output:
        with _retraining(output, home, retraining_url, actor) as (client, who):
            ended = client.post(f"/delegations/{number}/revoke", {"actor": who})
        output.result(ended, f"delegation {number} has ended: {_ending(ended['delegation'])}")


def _table(found: list[dict[str, Any]]) -> Table:
    table = Table(box=None)
    for column in ("number", "delegate", "for", "model", "until", "note", ""):
        table.add_column(column)
    for one in found:
        table.add_row(
            str(one["id"]),
            escape(str(one["delegate"])),
            escape(str(one["delegator"])),
            escape(str(one["model"] or "all")),
            _time(one["ends_at"]),
            escape(str(one["note"])),
            "" if one["active"] else f"[red]{escape(_ending(one))}[/]",
        )
    return table


def _ending(one: dict[str, Any]) -> str:
    if one["revoked_at"]:
        return f"revoked by {one['revoked_by']} at {_time(one['revoked_at'])}"
    return f"it was valid until {_time(one['ends_at'])}"


def _time(text: Any) -> str:
    return f"{datetime.fromisoformat(str(text)).astimezone(UTC):%Y-%m-%d %H:%M} UTC"


@contextmanager
def _retraining(output: Output, home: Path | None, url: str, actor: str = "") -> Iterator[tuple[Any, str]]:
    """A client of retraining, and the name to record."""
    where = addresses(client_settings(find_home(home, url, note=output.note), retraining_url=url))
    with where.client("retraining") as client:
        yield client, where.actor(actor)


def _duration(text: str) -> Any:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise CallerError(f"--for is {text[:40]!r}: {error}") from error
