"""`homeostat drift replay`: what a loop.yaml would have found in the past."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cli.command_group import CommandGroup
from cli.command_settings import settings_with
from cli.completion import complete_model
from cli.drift.export_evidently import export_evidently
from cli.home import find_home
from cli.options import Json, StackHome
from cli.output import command_output
from shared.errors import CallerError

drift = typer.Typer(
    cls=CommandGroup,
    help="Replay drift detection of a loop.yaml over the past, and export past evaluations.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)
_PLOTS = (".html", ".svg")


@drift.callback()
def _group() -> None:
    """Replay drift detection of a loop.yaml over the past, and export past evaluations."""


drift.command(
    epilog="Example: homeostat drift export-evidently workspace --model parcels && evidently ui --workspace workspace"
)(export_evidently)


@drift.command(
    epilog="Example: homeostat drift replay parcels --project my-model --change-at 2026-03-01 --plot replay.html"
)
def replay(
    model: Annotated[
        str,
        typer.Argument(
            help="Name of the model. Not needed with --rows and --reference.", autocompletion=complete_model
        ),
    ] = "",
    project: Annotated[
        Path | None,
        typer.Option(help="Model project, whose loop.yaml is replayed. Default: that of each version."),
    ] = None,
    rows: Annotated[
        Path | None,
        typer.Option(
            help="Replay the rows of this file instead of what was logged: event_time, features, score, outcome."
        ),
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(help="With --rows: file of reference rows. Default: the reference of the live version."),
    ] = None,
    false_alarms: Annotated[
        float | None,
        typer.Option(min=1e-6, help="Value to use in place of drift.false_alarms_per_30_days."),
    ] = None,
    start: Annotated[str, typer.Option("--from", help="Event time of the first window.")] = "",
    end: Annotated[str, typer.Option("--until", help="End of the replayed range of event time.")] = "",
    change_at: Annotated[
        str, typer.Option(help="Event time of a known change; the delay until its detection is shown.")
    ] = "",
    stream: Annotated[
        bool, typer.Option(help="Also replay the stream detectors, which watch between windows.")
    ] = True,
    plot: Annotated[
        Path | None, typer.Option(help="Write scores, thresholds and alarms to this .html or .svg file.")
    ] = None,
    home: StackHome = None,
    as_json: Json = False,
) -> None:
    """Run a drift configuration over the past, and print its alarms, delays and expected false alarms.

    The replayed rows are those that a model has logged, with the outcomes that are known today, or those of a file. Each
    version's rows are compared with its own reference, by the code of the drift service. The replay publishes and changes
    nothing, and needs no running service. Stream detectors read rows in the order of event time.
    """
    from cli.drift.replay_process import run_replay
    from cli.drift.replay_view import replay_view
    from cli.progress import bar
    from shared.contracts.loop_yaml import read_loop_spec

    with command_output(as_json) as output:
        if plot is not None and plot.suffix not in _PLOTS:
            raise CallerError(
                f"--plot {plot} is neither .html nor .svg", hint="for example --plot replay.html"
            )
        loop = read_loop_spec(project) if project is not None else None
        alone = rows is not None and reference is not None
        if reference is not None and (rows is None or loop is None):
            raise CallerError(
                "--reference goes with --rows and --project",
                hint="homeostat drift replay --project my-model --rows rows.parquet --reference train.parquet",
            )
        if not model and loop is None:
            raise CallerError("give a model, or --project", hint="homeostat drift replay parcels")
        home = None if alone else find_home(home, note=output.note, may_be_stopped=True)
        request: dict[str, Any] = {
            "model": model or (loop.model if loop else ""),
            "loop": loop.model_dump(mode="json") if loop else None,
            "rows": _absolute(rows),
            "reference": _absolute(reference),
            "false_alarms": false_alarms,
            "start": _moment(start, "--from"),
            "end": _moment(end, "--until"),
            "change_at": _moment(change_at, "--change-at"),
            "stream": stream,
            "plot": _absolute(plot),
        }
        environment = {"HOMEOSTAT_HOME": str(settings_with(home).home.absolute())}
        with bar(output, "replaying", 1) as shown:

            def progress(report: dict[str, Any]) -> None:
                shown.set(report["done"], max(1, report["total"]))
                shown.step(f"replaying, {report['step']}")

            found = run_replay(request, environment, progress)
        output.result(found, replay_view(found))


def _absolute(path: Path | None) -> str | None:
    return None if path is None else str(path.absolute())


def _moment(text: str, option: str) -> str | None:
    """The time as text with an offset; a date is its midnight, a time without offset is UTC."""
    from datetime import UTC, datetime

    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise CallerError(
            f"{option} {text} is not a time", hint="for example 2026-03-01 or 2026-03-01T12:00Z"
        ) from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()
