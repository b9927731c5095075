"""`homeostat eda`: an overview of a data set, or of the rows that a model has logged."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.command_settings import settings_with
from cli.completion import complete_model
from cli.home import find_home
from cli.options import Json, StackHome
from cli.output import Output, command_output
from shared.errors import CallerError

if TYPE_CHECKING:
    import pyarrow as pa

    from shared.contracts.loop_spec import LoopSpec


def eda(
    file: Annotated[
        Path | None, typer.Argument(help="Data set: .parquet, .csv, .tsv, .jsonl or .ndjson.")
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            help="Instead of a file: the logged rows of this model, beside its reference.",
            autocompletion=complete_model,
        ),
    ] = "",
    last: Annotated[
        str, typer.Option(help="With --model: event time before the newest row, such as 6h or 30d.")
    ] = "7d",
    outcome: Annotated[
        str, typer.Option(help="Column to predict; features that reveal it (leakage) are reported.")
    ] = "outcome",
    html: Annotated[
        Path | None, typer.Option(help="Also write Evidently's summary as this HTML page.")
    ] = None,
    home: StackHome = None,
    as_json: Json = False,
) -> None:
    """Summarise a data set: its columns, and findings such as duplicates, leakage, unit changes and correlations."""
    from rich.console import Group

    from cli.data.findings_view import columns_view, count_text, findings_view
    from cli.progress import bar
    from shared.data_checks.data_set import summarise

    with command_output(as_json) as output:
        if (file is None) == (not model):
            raise CallerError("give a file, or --model", hint="homeostat eda rows.parquet")
        name = model or str(file)
        with bar(output, f"reading {name}"):
            table, reference, loop = _data(output, file, model, last, home)
        with bar(output, "summarising"):
            summary = summarise(table, loop, reference, outcome=outcome)
        said = f"{name}: {summary.rows} rows, {len(summary.columns)} columns: {count_text(summary.findings)}"
        written = ""
        if html is not None:
            from shared.data_checks.evidently_summary import summary_page
            from shared.files import write_atomic

            texts = [said, *(f"{one.severity}: {one.message}. {one.hint}" for one in summary.findings)]
            personal = [feature.name for feature in loop.features if feature.personal] if loop else []
            with bar(output, "drawing the page"):
                page = summary_page(
                    f"Data summary of {name}",
                    texts,
                    table.drop_columns([one for one in personal if one in table.column_names]),
                    reference,
                )
            write_atomic(html, page.encode())
            written = f"\npage: {html}"
        document = {"data": name, **summary.as_json(), "page": str(html) if html else None}
        shown = Group(columns_view(summary.columns), "", findings_view(summary.findings, said + written))
        output.result(document, shown)


def _data(
    output: Output, file: Path | None, model: str, last: str, home: Path | None
) -> tuple[pa.Table, pa.Table | None, LoopSpec | None]:
    """The rows, the reference beside them, and the loop.yaml that they belong to; a file has neither of the two."""
    from shared.data_checks.table_file import read_table

    if file is not None:
        return read_table(file), None, None
    from shared.contracts.duration import parse_duration
    from shared.stores.queries.live_version import live_version, logged_rows

    try:
        span = parse_duration(last)
    except ValueError as error:
        raise CallerError(f"--last {last}: {error}", hint="for example --last 7d") from error
    settings = settings_with(find_home(home, note=output.note, may_be_stopped=True))
    live = live_version(settings, model)
    return logged_rows(settings, live.loop, span), live.reference, live.loop
