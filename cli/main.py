"""`homeostat`: the command line."""

from __future__ import annotations

import typer

from cli.commands.approval import approve, reject
from cli.commands.demo import demo
from cli.commands.deploy import deploy
from cli.commands.doctor import doctor
from cli.commands.down import down
from cli.commands.init import init
from cli.commands.releases import releases
from cli.commands.report import report
from cli.commands.rollback import rollback
from cli.commands.status import status
from cli.commands.up import up
from cli.commands.why import why

COMMANDS = (up, down, status, doctor, demo, init, deploy, releases, rollback, approve, reject, report, why)

app = typer.Typer(
    help="Keeps a served model healthy by itself: serve, log, watch, retrain, prove, swap, take back.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)
for command in COMMANDS:
    app.command()(command)
