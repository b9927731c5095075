"""`homeostat run show`: the steps of a run."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.command_group import CommandGroup
from cli.command_settings import client_settings
from cli.completion import complete_name
from cli.home import find_home
from cli.known_names import known_runs, listing
from cli.next_step import next_step, options_given
from cli.options import Json, RetrainingUrl, StackHome
from cli.output import command_output
from cli.run.steps_view import steps_view
from local_stack.addresses import addresses
from shared.errors import NotFound

_LINES, _LINES_OF_ONE = 10, 200

run = typer.Typer(
    cls=CommandGroup,
    help="Show what a retraining run did.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@run.callback()
def _group() -> None:
    """Show what a retraining run did."""


@run.command(epilog="Example: homeostat run show run-0123456789abcdef01234567 --step train")
def show(
    run_id: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="Run id (run-…), as `homeostat runs` lists it.",
            autocompletion=complete_name,
        ),
    ],
    step: Annotated[str, typer.Option(help="Only this step, with more lines of its log.")] = "",
    home: StackHome = None,
    retraining_url: RetrainingUrl = "",
    as_json: Json = False,
) -> None:
    """Show each step of a run: its state, inputs, outputs and digests, and the end of the training's log."""
    with command_output(as_json) as output:
        options = options_given(home, retraining_url)
        home = find_home(home, retraining_url, note=output.note)
        where = addresses(client_settings(home, retraining_url=retraining_url))
        with where.client("retraining") as retraining, listing(lambda: known_runs(where)):
            found = retraining.get(f"/runs/{run_id}/steps", log_lines=_LINES_OF_ONE if step else _LINES)
        if step:
            names = [one["step"] for one in found["steps"]]
            if step not in names:
                raise NotFound(f"run {run_id} has no step {step}", hint=f"it has {', '.join(names)}")
            found["steps"] = [one for one in found["steps"] if one["step"] == step]
        output.result(found, steps_view(found))
        if not as_json and (following := next_step(found, options)):
            output.result(None, following)
