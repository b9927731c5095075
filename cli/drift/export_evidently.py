"""`homeostat drift export-evidently`: the kept evaluations as a workspace of Evidently."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.command_settings import client_settings, settings_with
from cli.completion import complete_model
from cli.home import find_home
from cli.options import DriftUrl, Json, StackHome
from cli.output import Output, command_output

if TYPE_CHECKING:
    from local_stack.addresses import Addresses

MODULE = "services.drift.workspace"


def export_evidently(
    folder: Annotated[Path, typer.Argument(help="Folder of the workspace; created if it does not exist.")],
    model: Annotated[
        str, typer.Option(help="Only the evaluations of this model.", autocompletion=complete_model)
    ] = "",
    draw: Annotated[
        int,
        typer.Option(
            min=0,
            max=1000,
            help="Number of newest verdicts whose reports drift renders first, if they are not kept.",
        ),
    ] = 0,
    home: StackHome = None,
    drift_url: DriftUrl = "",
    as_json: Json = False,
) -> None:
    """Write the kept evaluations into an Evidently workspace, so that `evidently ui --workspace FOLDER` shows their history.

    A project per model; each evaluation has the time of its window's end. Those that the workspace has are not added again. No
    service needs to run without --draw.
    """
    from cli.drift.replay_process import run_replay
    from cli.progress import bar
    from local_stack.addresses import addresses

    with command_output(as_json) as output:
        home = find_home(home, drift_url, note=output.note, may_be_stopped=not draw)
        if draw:
            _draw(output, addresses(client_settings(home, drift_url=drift_url)), model, draw)
        environment = {"HOMEOSTAT_HOME": str(settings_with(home).home.absolute())}
        request = {"folder": str(folder.absolute()), "model": model}
        with bar(output, "exporting", 1) as shown:

            def progress(report: dict[str, Any]) -> None:
                shown.set(report["done"], max(1, report["total"]))

            found = run_replay(
                request, environment, progress, command=(sys.executable, "-m", MODULE), doing="export"
            )
        output.result(found, _text(found, folder))


def _draw(output: Output, where: Addresses, model: str, newest: int) -> None:
    from cli.drawn_report import read_report
    from cli.progress import bar
    from shared.http.service_client import items

    with where.client("drift") as drift:
        params: dict[str, str | int] = {"limit": newest} | ({"model": model} if model else {})
        verdicts = items(drift.get("/verdicts", **params), "verdicts")
        with bar(output, "drawing reports", len(verdicts)) as shown:
            for done, verdict in enumerate(reversed(verdicts), start=1):
                read_report(drift, f"/reports/{verdict['verdict_id']}/report.json")
                shown.set(done, len(verdicts))


def _text(found: dict[str, Any], folder: Path) -> str:
    lines = [f"{one['model']}: {one['added']} of {one['kept']} evaluations added" for one in found["models"]]
    return "\n".join([*lines, f"show them with: evidently ui --workspace {folder}"])
