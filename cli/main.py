"""`homeostat`: the command line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer

from cli.commands.acknowledge import acknowledge
from cli.commands.approval import approve, reject
from cli.commands.console import console
from cli.commands.dashboards import dashboards
from cli.commands.demo import demo
from cli.commands.deploy import deploy
from cli.commands.doctor import doctor
from cli.commands.down import down
from cli.commands.init import init
from cli.commands.inject import inject
from cli.commands.releases import releases
from cli.commands.report import report
from cli.commands.rollback import rollback
from cli.commands.status import status
from cli.commands.up import up
from cli.commands.why import why
from cli.exit_codes import epilog

START, MODEL, LOOK, DECIDE = "Start", "Your model", "Look", "Decide"
REHEARSE, OBSERVABILITY = "Rehearse", "Observability"
A_RUN = "run-0123456789abcdef01234567"

# Each command in the order `homeostat --help` shows it: its panel, one line about it, an example.
PAGE: tuple[tuple[str, Callable[..., Any], str, str], ...] = (
    (START, up, "Start the broker and every service.", "homeostat up --detach"),
    (START, down, "End the stack.", "homeostat down"),
    (START, demo, "Replay a real year of flights through the loop.", "homeostat demo --part 0.1 --keep"),
    (START, doctor, "Check everything; each failure names its hint.", "homeostat doctor"),
    (MODEL, init, "Write a model project that works as it stands.", "homeostat init my-model"),
    (
        MODEL,
        deploy,
        "Train, package, sign and release a version.",
        "homeostat deploy my-model --train train.parquet --holdout holdout.parquet",
    ),
    (LOOK, console, "Serve the page that shows the whole loop.", "homeostat console --port 8015"),
    (LOOK, status, "Show every process of the stack.", "homeostat status --json"),
    (LOOK, report, "List verdicts, or open the report of one.", "homeostat report parcels --limit 5"),
    (LOOK, releases, "List what was released, newest first.", "homeostat releases parcels"),
    (LOOK, why, "Show why a model answered, back to the cause.", f"homeostat why {A_RUN}"),
    (DECIDE, approve, "Let a waiting run go on.", f"homeostat approve {A_RUN}"),
    (DECIDE, reject, "End a waiting run.", f"homeostat reject {A_RUN}"),
    (
        DECIDE,
        acknowledge,
        "Record that you have seen a decision.",
        'homeostat acknowledge 3fa9c1 --note "sensor replaced"',
    ),
    (
        DECIDE,
        rollback,
        "Serve an earlier version again.",
        'homeostat rollback parcels --reason "worse at night"',
    ),
)
COMMANDS = tuple(command for _, command, _, _ in PAGE)

app = typer.Typer(
    help="Keeps a served model healthy by itself: serve, log, watch, retrain, prove, swap, take back.",
    epilog=epilog(),
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_show_locals=False,
    rich_markup_mode="rich",
)
for panel, command, line, example in PAGE:
    app.command(rich_help_panel=panel, short_help=line, epilog=f"Example: {example}")(command)
app.add_typer(
    inject, name="inject", rich_help_panel=REHEARSE, short_help="Rehearse a bad day: drift, faults, outages."
)
app.add_typer(
    dashboards,
    name="dashboards",
    rich_help_panel=OBSERVABILITY,
    short_help="Publish the boards to a Grafana.",
)
