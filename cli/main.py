"""`homeostat`: the command line. A command's module is imported when the command runs, so every command starts quickly."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from keyword import iskeyword
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from cli.command_group import unwrapped
from cli.exit_codes import epilog
from cli.number_options import with_range_messages

START, MODEL, INSPECT, DECIDE = "Start", "Your model", "Inspect", "Decide"
ACCESS, FAULTS, OBSERVABILITY = "Access", "Faults", "Observability"
A_RUN = "run-0123456789abcdef01234567"


@dataclass(frozen=True)
class Entry:
    """One line of `homeostat --help`: the panel, the command, what it does, and an example (a group has none of its own)."""

    panel: str
    name: str
    summary: str
    example: str = ""
    module: str = ""

    def load(self) -> Any:
        """The command itself; imports its module."""
        module = self.module or self.name
        function = self.name.replace("-", "_")
        found = getattr(
            import_module(module if "." in module else f"cli.commands.{module}"),
            f"{function}_" if iskeyword(function) else function,
        )
        if isinstance(found, typer.Typer):
            return with_range_messages(unwrapped(typer.main.get_group(found)))
        app = typer.Typer(rich_markup_mode="rich", add_completion=False, pretty_exceptions_show_locals=False)
        app.command(self.name, short_help=self.summary, epilog=f"Example: {self.example}")(found)
        return with_range_messages(unwrapped(typer.main.get_command(app)))


# In the order `homeostat --help` shows them.
PAGE: tuple[Entry, ...] = (
    Entry(START, "up", "Start the broker and every service.", "homeostat up --detach"),
    Entry(START, "down", "Stop the stack.", "homeostat down"),
    Entry(START, "demo", "Run the demo: replay a real year of flights.", "homeostat demo --part 0.1 --keep"),
    Entry(START, "doctor", "Check the installation; print a hint for each failure.", "homeostat doctor"),
    Entry(
        START,
        "certificates",
        "Make certificates to try encrypted connections.",
        module="cli.certificates.command",
    ),
    Entry(MODEL, "init", "Write a complete model project.", "homeostat init my-model"),
    Entry(
        MODEL,
        "eda",
        "Summarise a data set, or the rows a model has logged.",
        "homeostat eda history.parquet --html summary.html",
        "cli.data.eda",
    ),
    Entry(
        MODEL,
        "check",
        "Check a data set against loop.yaml and a reference.",
        "homeostat check new.parquet --project my-model --reference train.parquet",
        "cli.data.check",
    ),
    Entry(
        MODEL,
        "deploy",
        "Train, package, sign and release a version.",
        "homeostat deploy my-model --train train.parquet --holdout holdout.parquet",
    ),
    Entry(
        MODEL,
        "replay",
        "Send past rows from a Parquet file to inference.",
        "homeostat replay history.parquet --model parcels --delay 1h",
        "cli.replay.command",
    ),
    Entry(
        MODEL,
        "import",
        "Bring rows of history into the prediction log.",
        "homeostat import history.parquet --model parcels",
        "cli.history.command",
    ),
    Entry(
        MODEL,
        "backtest",
        "Compare retraining policies on past rows.",
        "homeostat backtest my-model --policy weekly.yaml",
        "cli.backtesting.backtest",
    ),
    Entry(
        MODEL,
        "arm",
        "Write a policy to loop.yaml.",
        "homeostat arm my-model weekly.yaml",
        "cli.backtesting.arm",
    ),
    Entry(
        INSPECT, "status", "Show models, runs that await approval, and processes.", "homeostat status --json"
    ),
    Entry(
        INSPECT,
        "console",
        "Log in to the web console; serve it if none runs.",
        "homeostat console --port 8015",
    ),
    Entry(INSPECT, "report", "List verdicts, or open a drift report.", "homeostat report parcels --limit 5"),
    Entry(
        INSPECT, "drift", "Replay drift detection of a loop.yaml over the past.", module="cli.drift.command"
    ),
    Entry(INSPECT, "runs", "List the retraining runs, newest first.", "homeostat runs --model parcels"),
    Entry(INSPECT, "run", "Show the steps of a retraining run.", module="cli.run.command"),
    Entry(
        INSPECT,
        "reproduce",
        "Make a version's training rows again, and train it again.",
        "homeostat reproduce 3fa9c1d2 --train",
        "cli.run.reproduce",
    ),
    Entry(INSPECT, "releases", "List a model's releases, newest first.", "homeostat releases parcels"),
    Entry(INSPECT, "why", "Explain a prediction, version, run or cause.", f"homeostat why {A_RUN}"),
    Entry(
        INSPECT,
        "why-not",
        "Explain why no run starts, or was promoted.",
        "homeostat why-not parcels",
        "cli.policies.why_not",
    ),
    Entry(
        INSPECT,
        "whatif",
        "Show what a policy would have decided on past verdicts.",
        "homeostat whatif parcels --policy weekly.yaml",
        "cli.policies.whatif",
    ),
    Entry(
        INSPECT,
        "verdicts",
        "List verdicts that could not be handled; replay them.",
        module="cli.triggers.verdicts",
    ),
    Entry(INSPECT, "log", "Read, inspect and repair the prediction log.", module="cli.log.command"),
    Entry(
        DECIDE,
        "trigger",
        "Request a retraining.",
        'homeostat trigger parcels --reason "new depot"',
        "cli.triggers.command",
    ),
    Entry(DECIDE, "approve", "Approve a run that awaits approval.", f"homeostat approve {A_RUN}", "runs"),
    Entry(DECIDE, "reject", "Reject a run that awaits approval.", f"homeostat reject {A_RUN}", "runs"),
    Entry(
        DECIDE,
        "acknowledge",
        "Record that you have seen a decision.",
        'homeostat acknowledge 3fa9c1 --note "sensor replaced"',
    ),
    Entry(
        DECIDE,
        "rollback",
        "Release an earlier version again.",
        'homeostat rollback parcels --reason "worse at night"',
    ),
    Entry(
        ACCESS,
        "erase",
        "Remove a person's rows from lake, spool and files.",
        "homeostat erase --subject customer-17 --dry-run",
        "cli.erasure.command",
    ),
    Entry(ACCESS, "keys", "Create, list, rotate and revoke API keys.", module="cli.access.keys"),
    Entry(
        ACCESS,
        "delegations",
        "Let another person approve in your place, for a time.",
        module="cli.access.delegations",
    ),
    Entry(FAULTS, "inject", "Inject drift, data faults and outages."),
    Entry(OBSERVABILITY, "dashboards", "Publish the dashboards to Grafana, and check them."),
)
ENTRIES = {entry.name: entry for entry in PAGE}
# Names that people try, which no spelling of a command resembles.
ELSEWHERE = {
    "export": "In Python, use homeostat.export(model, rows, 'project') for a fitted model; "
    "`homeostat deploy MODEL --reference ROWS` exports a model file and deploys it.",
    "train": "`homeostat deploy PROJECT --train ROWS --holdout ROWS` trains a version and deploys it.",
    "predict": "`homeostat replay ROWS --delay 1h` sends the rows of a file; in Python, homeostat.Client().predict(rows).",
}


class LazyGroup(TyperGroup):
    """Lists every command from `PAGE`, and imports only the one that is called."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = {
            entry.name: TyperCommand(
                entry.name,
                callback=None,
                params=[],
                help=entry.summary,
                short_help=entry.summary,
                rich_help_panel=entry.panel,
            )
            for entry in PAGE
        }

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that `args` begin with, imported now."""
        if args and args[0] in ENTRIES:
            return args[0], ENTRIES[args[0]].load(), args[1:]
        if args and args[0] in ELSEWHERE:
            ctx.fail(f"No such command {args[0]!r}. {ELSEWHERE[args[0]]}")
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=LazyGroup,
    help="Model serving and monitoring: logs every prediction, detects drift, retrains, and releases better versions.",
    epilog=epilog(),
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_show_locals=False,
    rich_markup_mode="rich",
)


@app.callback()
def homeostat() -> None:
    """The options of `homeostat` itself; every command has its own."""
