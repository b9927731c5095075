"""`homeostat whatif`: what a policy would have decided on the logged verdicts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from cli.command_settings import client_settings
from cli.home import find_home
from cli.known_names import known_models, listing
from cli.options import Json, Model, RetrainingUrl, StackHome
from cli.output import command_output
from local_stack.addresses import addresses


def whatif(
    model: Model,
    policy: Annotated[
        Path,
        typer.Option(
            help="YAML file with `retraining`: triggers, cooldown, budget, window or minimum_rows; other keys are those of the "
            "deployed loop.yaml."
        ),
    ],
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Number of verdicts, the newest.")] = 10_000,
    home: StackHome = None,
    retraining_url: RetrainingUrl = "",
    as_json: Json = False,
) -> None:
    """Show which runs a policy would have started on the logged verdicts. Nothing is trained or changed.

    The verdicts are those of what was served, so a run of the policy changes none of them; `homeostat backtest` trains.
    """
    from shared.contracts.policies.policy_document import read_document

    with command_output(as_json) as output:
        home = find_home(home, retraining_url, note=output.note)
        where = addresses(client_settings(home, retraining_url=retraining_url))
        given = read_document(policy)
        with where.client("retraining") as retraining, listing(lambda: known_models(where)):
            found = retraining.post(f"/models/{model}/what-if?limit={limit}", given)
        output.result({"policy": str(policy), **found}, _view(found, policy))


def _view(found: dict[str, Any], policy: Path) -> Group:
    starts = [one for one in found["decisions"] if "retrain" in (one["action"], one["logged_action"])]
    table = Table(box=None)
    for column in ("window end", "verdict", "this policy", "why", "was decided"):
        table.add_column(column)
    for one in starts:
        table.add_row(
            str(one["window_end"])[:16].replace("T", " "),
            f"{one['state']} ({one['detector']})",
            str(one["action"]),
            escape(str(one["reason"])),
            f"{one['logged_action']} ({one['logged_reason_code']})",
        )
    head = (
        f"{policy} on {found['verdicts']} verdicts of {found['model']}: {found['runs']} runs, was {found['logged_runs']}; "
        + ", ".join(f"{code} {count}" for code, count in found["reasons"].items())
    )
    return Group(Text(head), *([table] if starts else []))
