"""`homeostat console`: the web page of the whole loop."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.command_settings import settings_with
from cli.options import DriftUrl, Home, InferenceUrl, Json, RetrainingUrl
from cli.output import command_output


def console(
    port: Annotated[
        int | None,
        typer.Option(
            min=1, max=65535, show_default=False, help="Port. Default: HOMEOSTAT_CONSOLE_PORT, else 8005."
        ),
    ] = None,
    home: Home = None,
    inference_url: InferenceUrl = "",
    drift_url: DriftUrl = "",
    retraining_url: RetrainingUrl = "",
    as_json: Json = False,
) -> None:
    """Serve the web page that shows the whole loop and takes approvals, until Ctrl-C. `homeostat up` starts it too."""
    from services.console.bootstrap import build, open_door, serve
    from shared.observability.logs import configure_logs

    with command_output(as_json) as output:
        given = {"inference_url": inference_url, "drift_url": drift_url, "retraining_url": retraining_url}
        settings = settings_with(home, console_port=port, **given)
        configure_logs("console", settings)
        door = open_door(settings)
        url = f"http://{settings.console_host}:{settings.console_port}/"
        output.result({"console": url}, url)
        serve(build(settings), door)
