"""`homeostat backtest`: try policies on past rows before one of them acts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.backtesting.rows import NAMES, file_of, rows_of_file, rows_of_lake
from cli.home import named_home
from cli.options import Home, Json
from cli.output import command_output
from shared.errors import CallerError, OperatorError

if TYPE_CHECKING:
    from datetime import datetime, timedelta


def backtest(
    project: Annotated[
        Path,
        typer.Argument(exists=True, file_okay=False, help="Folder of the model project, with its loop.yaml."),
    ],
    policy: Annotated[
        list[Path] | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="YAML file with another policy, beside that of loop.yaml; repeated for each.",
        ),
    ] = None,
    rows: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="Parquet or CSV file of rows with outcomes. Default: history.parquet or history.csv in the project's folder, "
            "else the rows that the model has logged.",
        ),
    ] = None,
    start: Annotated[
        str,
        typer.Option(
            help="Event time (ISO 8601) at which the first version begins to serve. Default: the earliest possible."
        ),
    ] = "",
    grid: Annotated[
        str,
        typer.Option(
            help="Interval, such as 28d, of additional trainings, which only the best schedule in hindsight may use."
        ),
    ] = "",
    sample_rows: Annotated[
        int,
        typer.Option(
            min=200,
            help="Maximum number of rows of a window that are compared for drift of features; fewer are quicker.",
        ),
    ] = 5000,
    plot: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Write the loss over time to this HTML file.")
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Replay past rows under each policy, and compare what would have been served.

    Windows, decisions, trainings with the project's command, and the gate use the code of the running loop. Trainings are kept
    in the data folder, so that policies and later back-tests share them. The result has for each policy the mean loss of the
    versions that would have been served, trainings, promotions, cost (`costs` of the policy file or of loop.yaml), and the
    regret against the best schedule in hindsight. It is recorded in backtests.json beside loop.yaml.
    """
    from cli.backtesting.view import result_view
    from cli.progress import bar
    from local_stack.client_settings import ClientSettings
    from shared.contracts.loop_yaml import read_loop_spec
    from shared.settings import HomeostatSettings

    with command_output(as_json) as output:
        loop = read_loop_spec(project)
        loop.require_performance()
        begin, step = _moment(start), _length(grid)
        folder = (named_home(home) or ClientSettings().home).absolute()
        try:
            from backtest.comparison import Request, compare_policies, places_with_rows
            from backtest.history import make_history
            from backtest.page import render_page
        except ImportError as error:
            raise OperatorError(
                f"a back-test runs code of drift and retraining, and {error.name} is not installed",
                hint="install Homeostat with the extras `drift` and `retraining`",
            ) from error
        from backtest.policy import project_policy, read_policy
        from backtest.record import RECORD, record_results

        policies = [project_policy(loop), *(read_policy(path, loop) for path in policy or ())]
        names = [one.name for one in policies]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise CallerError(f"two policies are named {twice[0]}", hint="rename one of the files")
        settings = HomeostatSettings(home=folder)
        path = rows or file_of(project)
        files = [
            one.absolute() for one in (*(project / name for name in NAMES), path) if one and one.exists()
        ]
        if path is None:
            table = rows_of_lake(settings.lake_url, loop)
        else:
            output.note(f"replaying {path}")
            table = rows_of_file(path, loop)
        history = make_history(table, loop)
        with _only_errors_shown(), bar(output, "reading", 100.0) as shown:

            def moved(text: str, share: float) -> None:
                shown.step(text)
                shown.set(round(share * 100, 1))

            result = compare_policies(
                Request(
                    project.absolute().resolve(),
                    history,
                    tuple(policies),
                    folder / "backtests",
                    hidden=places_with_rows(settings, files),
                    ignored=tuple(one.absolute() for one in (*(policy or ()), *([plot] if plot else ()))),
                    start=begin,
                    grid=step,
                    sample_rows=sample_rows,
                ),
                moved,
            )
        if plot is not None:
            plot.write_text(render_page(result), encoding="utf-8")
        try:
            record_results(project, {one.policy.digest: result.record(one) for one in result.policies})
        except OSError as error:
            output.warning(f"{project / RECORD} cannot be written: {error.strerror}")
        document = result.document() | ({"plot": str(plot)} if plot else {})
        output.result(document, result_view(result))


@contextmanager
def _only_errors_shown() -> Iterator[None]:
    """Of the log of the code that is run, on standard error; each verdict and step of a service would be a line.

    The settings of the log are those of before afterwards: they are the process's.
    """
    import logging
    import sys

    import structlog

    before = structlog.get_config()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    try:
        yield
    finally:
        structlog.configure(**before)


def _moment(text: str) -> datetime | None:
    from datetime import UTC, datetime

    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise CallerError(
            f"--start is {text!r}; expected an ISO 8601 time", hint="for example --start 2026-01-15T00:00Z"
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _length(text: str) -> timedelta | None:
    from datetime import timedelta

    from shared.contracts.duration import parse_duration

    if not text:
        return None
    try:
        length = parse_duration(text)
    except ValueError as error:
        raise CallerError(f"--grid is {text!r}; {error}", hint="for example --grid 28d") from error
    if length <= timedelta(0):
        raise CallerError("--grid is 0; expected a length above 0", hint="for example --grid 28d")
    return length
