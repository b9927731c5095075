"""`homeostat import`: bring rows of history into the prediction log."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.command_settings import settings_with
from cli.completion import complete_model
from cli.home import find_home
from cli.options import Json, StackHome
from cli.output import FOUND_SOMETHING, Output, command_output
from shared.errors import ProjectError

if TYPE_CHECKING:
    from cli.history.content import CheckedFile
    from cli.history.raw_rows import Refused

SHOWN = 20


def import_(
    files: Annotated[
        list[Path],
        typer.Argument(
            exists=True,
            dir_okay=False,
            metavar="FILE...",
            help="Parquet, CSV or JSON lines (.parquet, .csv, .jsonl); JSON lines may be SageMaker data capture.",
        ),
    ],
    model: Annotated[str, typer.Option(help="Name of the model.", autocompletion=complete_model)],
    project: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            help="Folder whose loop.yaml the rows are checked against. Default: that of the live version.",
        ),
    ] = None,
    time_column: Annotated[str, typer.Option(help="Column of event times.")] = "event_time",
    outcome_column: Annotated[
        str, typer.Option(help="Column of outcomes; a row without a value has none.")
    ] = "outcome",
    score_column: Annotated[
        str, typer.Option(help="Column of what was predicted, for a model with one score.")
    ] = "score",
    key_column: Annotated[
        str, typer.Option(help="Column of what a row is about, as `key` in requests.")
    ] = "key",
    skip_invalid: Annotated[
        bool, typer.Option("--skip-invalid", help="Import the valid rows of a file that has others too.")
    ] = False,
    refused: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="File to write every row that is not valid to, as JSON lines."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check the files, and import nothing.")] = False,
    wait: Annotated[
        float, typer.Option(min=1, help="Seconds without progress of the lake after which to give up.")
    ] = 60.0,
    home: StackHome = None,
    as_json: Json = False,
) -> None:
    """Check rows of history against loop.yaml, and bring them into the lake with source `import`.

    They are training rows of later runs. They are not judged: no drift window, holdout or watermark contains them. A row is
    stored once, whatever file it comes in; an interrupted import goes on when it is started again. An outcome in the same file
    becomes the row's outcome, observed at `observed_at` or `outcome.delay` after the row.
    A file with rows that are not valid is not imported without --skip-invalid. The exit code is 1 if any row was refused.
    """
    with command_output(as_json) as output:
        found = find_home(home, note=output.note, may_be_stopped=dry_run)
        settings = settings_with(found)
        results = _import_files(
            output,
            settings,
            files,
            model,
            project,
            names=(time_column, outcome_column, score_column, key_column),
            skip_invalid=skip_invalid,
            refused_file=refused,
            dry_run=dry_run,
            wait=wait,
        )
        output.result({"model": model, "files": results}, "\n".join(_line(one) for one in results))
        if any(one["refused"] or one["dead_letters"] for one in results):
            raise typer.Exit(FOUND_SOMETHING)


def _import_files(
    output: Output,
    settings: Any,
    files: list[Path],
    model: str,
    project: Path | None,
    *,
    names: tuple[str, str, str, str],
    skip_invalid: bool,
    refused_file: Path | None,
    dry_run: bool,
    wait: float,
) -> list[dict[str, Any]]:
    import tempfile
    from datetime import UTC, datetime

    from cli.history.connection import log_producer, loop_of, pseudonymise
    from cli.history.history_file import check_file
    from cli.history.importer import import_rows
    from cli.history.refused_rows import RefusedRows
    from cli.history.validation import Columns, Validation
    from cli.progress import bar
    from shared.stores.lake import Lake

    loop = loop_of(settings, model, project)
    validation = Validation(loop, Columns(*names), datetime.now(UTC), pseudonymise(settings))
    results: list[dict[str, Any]] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="homeostat-import-")))
        rejects = stack.enter_context(RefusedRows(refused_file))
        checked: list[CheckedFile] = []
        for number, path in enumerate(files):
            with bar(output, f"checking {path.name}", None) as shown:
                file, ignored = check_file(
                    path,
                    validation,
                    folder / f"{number}.arrow",
                    on_rows=shown.advance,
                    on_refused=partial(rejects.add, path),
                )
            if ignored:
                output.note(f"{path}: columns that are not imported: {', '.join(ignored)}")
            for one in file.refused[:SHOWN]:
                output.warning(one.text(path))
            if file.refused_rows > SHOWN:
                output.note(
                    f"{path}: {file.refused_rows - SHOWN} more rows are not valid; --refused writes all to a file"
                )
            checked.append(file)
            results.append(_result(path, file, ignored))
        invalid = sum(file.refused_rows for file in checked)
        if invalid and not skip_invalid and not dry_run:
            raise ProjectError(
                f"{invalid} rows are not valid, so nothing was imported; the first: {_first(files, checked)}",
                hint="correct them, or import the other rows with --skip-invalid",
            )
        if dry_run:
            return results
        lake = Lake(settings.lake_url)
        with log_producer(settings) as producer:
            for path, file, result in zip(files, checked, results, strict=True):
                with bar(output, f"importing {path.name}", file.rows) as shown:
                    done = import_rows(
                        lake,
                        producer,
                        model,
                        file,
                        wait_s=wait,
                        on_sent=shown.advance,
                        on_wait=partial(shown.step, "waiting for the lake"),
                    )
                result.update(
                    writer=done.writer,
                    added=done.added,
                    added_outcomes=done.added_outcomes,
                    known=done.known,
                    known_outcomes=done.known_outcomes,
                    dead_letters=done.dead,
                )
    return results


def _first(files: list[Path], checked: list[CheckedFile]) -> str:
    return next(file.refused[0].text(path) for path, file in zip(files, checked, strict=True) if file.refused)


def _result(path: Path, file: CheckedFile, ignored: list[str]) -> dict[str, Any]:
    refused: list[Refused] = file.refused[:SHOWN]
    return {
        "file": str(path),
        "rows": file.rows,
        "outcomes": file.outcomes,
        "refused": file.refused_rows,
        "problems": [{"line": one.line, "field": one.field, "problem": one.problem} for one in refused],
        "ignored_columns": ignored,
        "writer": "",
        "added": 0,
        "added_outcomes": 0,
        "known": 0,
        "known_outcomes": 0,
        "dead_letters": 0,
    }


def _line(one: dict[str, Any]) -> str:
    if not one["writer"]:
        text = f"{one['file']}: {one['rows']} rows and {one['outcomes']} outcomes are valid"
    else:
        text = (
            f"{one['file']}: {one['added']} rows and {one['added_outcomes']} outcomes added, "
            f"{one['known']} rows and {one['known_outcomes']} outcomes were in the lake before"
        )
    if one["refused"]:
        text += f"; {one['refused']} rows are not valid"
    if one["dead_letters"]:
        text += f"; the lake refused {one['dead_letters']} (`homeostat log dead-letters list`)"
    return text
