"""`homeostat check`: hold a data set against loop.yaml and a reference, as a user's CI does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.command_settings import settings_with
from cli.completion import complete_model
from cli.home import find_home
from cli.options import Json, StackHome
from cli.output import FOUND_SOMETHING, Output, command_output
from shared.errors import CallerError

if TYPE_CHECKING:
    import pyarrow as pa

    from shared.contracts.loop_spec import LoopSpec

SPEC = "loop.yaml"


def check(
    file: Annotated[Path, typer.Argument(help="Data set: .parquet, .csv, .tsv, .jsonl or .ndjson.")],
    project: Annotated[
        Path | None,
        typer.Option(help="Model project, whose loop.yaml the data must fit. Default: this folder."),
    ] = None,
    reference: Annotated[
        Path | None, typer.Option(help="File of earlier rows to compare with, such as train.parquet.")
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            help="Use loop.yaml and the reference of this model's live version.",
            autocompletion=complete_model,
        ),
    ] = "",
    ignore: Annotated[
        list[str] | None,
        typer.Option(help="Leave out a kind of finding, or KIND:COLUMN. May be given several times."),
    ] = None,
    home: StackHome = None,
    as_json: Json = False,
) -> None:
    """Check a data set against loop.yaml and a reference. Exit code 1 if there are errors or warnings."""
    from cli.data.findings_view import count_text, findings_view
    from cli.progress import bar
    from shared.data_checks.data_set import summarise
    from shared.data_checks.finding import is_ignored
    from shared.data_checks.table_file import read_table

    with command_output(as_json) as output:
        ignored = tuple(ignore or ())
        _require_kinds(ignored)
        loop, compared = _expectation(output, project, reference, model, home)
        with bar(output, f"reading {file}"):
            table = read_table(file)
        with bar(output, "checking"):
            summary = summarise(table, loop, compared)
        findings = [one for one in summary.findings if not is_ignored(one, ignored)]
        failed = any(one.severity != "note" for one in findings)
        beside = f", {compared.num_rows} reference rows" if compared is not None else ", no reference"
        shown = f"{file}: {summary.rows} rows, {table.num_columns} columns{beside}: {count_text(findings)}"
        document = {
            "file": str(file),
            "model": loop.model,
            "rows": summary.rows,
            "reference_rows": compared.num_rows if compared is not None else None,
            "passed": not failed,
            "findings": [one.as_json() for one in findings],
        }
        output.result(document, findings_view(findings, shown))
        if failed:
            raise typer.Exit(FOUND_SOMETHING)


def _expectation(
    output: Output, project: Path | None, reference: Path | None, model: str, home: Path | None
) -> tuple[LoopSpec, pa.Table | None]:
    """What the data set is held against: loop.yaml, and the reference if there is one."""
    from shared.contracts.loop_yaml import read_loop_spec
    from shared.data_checks.table_file import read_table

    if not model:
        folder = project or Path()
        if project is None and not (folder / SPEC).exists():
            raise CallerError(
                f"there is no {SPEC} in this folder",
                hint="name the model project with --project or a released model with --model; `homeostat eda` needs neither",
            )
        return read_loop_spec(folder), read_table(reference) if reference is not None else None
    if project is not None:
        raise CallerError("--model and --project exclude each other", hint="leave out one of them")
    from shared.stores.queries.live_version import live_version

    live = live_version(settings_with(find_home(home, note=output.note, may_be_stopped=True)), model)
    return live.loop, read_table(reference) if reference is not None else live.reference


def _require_kinds(ignored: tuple[str, ...]) -> None:
    from typing import get_args

    from shared.data_checks.finding import Kind

    unknown = [one for one in ignored if one.partition(":")[0] not in get_args(Kind)]
    if unknown:
        raise CallerError(
            f"--ignore {unknown[0]} names no kind of finding", hint=f"kinds: {', '.join(get_args(Kind))}"
        )
