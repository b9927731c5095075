"""`homeostat log query`: SQL over the logged rows of a model."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from cli.command_settings import settings_with
from cli.home import find_home
from cli.log.cells import documents, texts
from cli.options import Json, Model, StackHome
from cli.output import command_output


def query(
    model: Model,
    sql: Annotated[str, typer.Argument(help="A query, which begins with SELECT or WITH.")],
    limit: Annotated[
        int, typer.Option(min=1, max=100_000, help="Maximum number of rows that are shown.")
    ] = 1000,
    home: StackHome = None,
    as_json: Json = False,
) -> None:
    """Run a read-only query over the tables `predictions`, `outcomes` and `dead_letters` of the lake.

    Features are columns `f_<name>`. The result has the logged values, also of features that are marked personal.
    """
    from shared.stores.lake import Lake
    from shared.stores.queries.lake_query import check_reads, open_query, run_query

    with command_output(as_json) as output:
        check_reads(sql)
        settings = settings_with(find_home(home, note=output.note, may_be_stopped=True))
        rows, has_more = run_query(open_query(Lake(settings.lake_url), model), sql, limit=limit)
        shown = Table(*map(escape, rows.column_names), box=None)
        for row in texts(rows):
            shown.add_row(*map(escape, row))
        if has_more:
            output.note(f"the first {limit} rows are shown; see --limit, or homeostat log export")
        output.result({"rows": documents(rows), "has_more": has_more}, shown)
