"""`homeostat log`: rows, watermarks, spool and dead letters of the prediction log."""

from __future__ import annotations

import typer

from cli.command_group import CommandGroup
from cli.log.dead_letters import dead_letters
from cli.log.export import export
from cli.log.query import query
from cli.log.spool import spool
from cli.log.tail import tail
from cli.log.watermark import watermark

log = typer.Typer(
    cls=CommandGroup,
    help="Read, inspect and repair the prediction log.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)
log.command("tail", epilog="Example: homeostat log tail parcels --rows 20")(tail)
log.command("query", epilog="Example: homeostat log query parcels 'SELECT count(*) FROM predictions'")(query)
log.command(
    "export", epilog="Example: homeostat log export parcels rows.parquet --from 2026-03-01T00:00:00Z"
)(export)
log.command("watermark", epilog="Example: homeostat log watermark parcels --set 2026-03-01T12:00:00Z")(
    watermark
)
log.command("spool", epilog="Example: homeostat log spool --json")(spool)
log.add_typer(dead_letters, name="dead-letters")
