"""`homeostat verdicts dead-letters list`, `replay` and `discard`: verdicts that retraining set aside."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from cli.command_group import CommandGroup
from cli.command_settings import client_settings
from cli.home import find_home
from cli.options import Json, RetrainingUrl, StackHome
from cli.output import command_output
from local_stack.addresses import addresses
from shared.http.service_client import ServiceClient, items

verdicts = typer.Typer(
    cls=CommandGroup,
    help="List verdicts that retraining could not handle; replay them.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)
dead_letters = typer.Typer(
    cls=CommandGroup,
    help="List verdicts that retraining set aside, replay or discard them.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)
verdicts.add_typer(dead_letters, name="dead-letters")

Letter = Annotated[str, typer.Argument(metavar="ID", help="Id, as `list` shows it.")]
_PATH = "/verdicts/dead-letters"
_DETAIL = 80


@dead_letters.command("list", epilog="Example: homeostat verdicts dead-letters list")
def list_dead_letters(
    home: StackHome = None, retraining_url: RetrainingUrl = "", as_json: Json = False
) -> None:
    """List verdicts whose handling failed for a minute or crashed retraining three times, newest first, with the reason."""
    with command_output(as_json) as output:
        with _retraining(find_home(home, retraining_url, note=output.note), retraining_url) as retraining:
            found = items(retraining.get(_PATH), "dead_letters")
        shown = Table("id", "refused at", "model", "verdict", "detail", box=None)
        for one in found:
            shown.add_row(
                str(one["id"]),
                str(one["refused_at"])[:16].replace("T", " "),
                escape(str(one["model"])),
                escape(str(one["verdict_id"])[:12]),
                escape(str(one["detail"])[:_DETAIL]),
            )
        if found:
            output.note(
                "`homeostat verdicts dead-letters replay ID` handles one again; `discard ID` deletes it"
            )
        output.result({"dead_letters": found, "count": len(found)}, shown if found else "no dead letters")


@dead_letters.command("replay", epilog="Example: homeostat verdicts dead-letters replay 0123456789abcdef")
def replay(
    letter: Letter, home: StackHome = None, retraining_url: RetrainingUrl = "", as_json: Json = False
) -> None:
    """Handle a verdict again and print the decision. If this fails, it is kept. One that crashed retraining may do so again."""
    with command_output(as_json) as output:
        with _retraining(find_home(home, retraining_url, note=output.note), retraining_url) as retraining:
            decided: dict[str, Any] = retraining.post(f"{_PATH}/{letter}/replay", {})
        run = f"\nrun {decided['run_id']}" if decided.get("run_id") else ""
        output.result(decided, f"{letter}: {decided['action']}, {decided['reason']}{run}")


@dead_letters.command("discard", epilog="Example: homeostat verdicts dead-letters discard 0123456789abcdef")
def discard(
    letter: Letter, home: StackHome = None, retraining_url: RetrainingUrl = "", as_json: Json = False
) -> None:
    """Delete a verdict that was set aside. The next window produces a new verdict."""
    with command_output(as_json) as output:
        with _retraining(find_home(home, retraining_url, note=output.note), retraining_url) as retraining:
            done = retraining.post(f"{_PATH}/{letter}/discard", {})
        output.result(done, f"{letter}: discarded")


def _retraining(home: Any, retraining_url: str) -> ServiceClient:
    return addresses(client_settings(home, retraining_url=retraining_url)).client("retraining")
