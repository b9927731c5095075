"""`homeostat console`: start the console without the rest of the stack."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from cli.command_settings import settings_with
from cli.home import find_home
from cli.options import DriftUrl, InferenceUrl, Json, RetrainingUrl, StackHome
from cli.output import command_output


def console(
    port: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=65535,
            show_default=False,
            help="Port to listen on. Default: HOMEOSTAT_CONSOLE_PORT, else 8005.",
        ),
    ] = None,
    home: StackHome = None,
    inference_url: InferenceUrl = "",
    drift_url: DriftUrl = "",
    retraining_url: RetrainingUrl = "",
    as_json: Json = False,
) -> None:
    """Serve the web console until Ctrl-C. `homeostat up` starts it too."""
    # Imported here: the other commands must not wait for it.
    from local_stack.ports import require_free
    from local_stack.supervisor.process_specs import environment
    from shared.tls.client_environment import listener_scheme

    with command_output(as_json) as output:
        home = find_home(home, inference_url, drift_url, retraining_url, note=output.note)
        settings = settings_with(home, console_port=port)
        require_free(settings.console_host, settings.console_port, "HOMEOSTAT_CONSOLE_PORT")
        given = {"INFERENCE": inference_url, "DRIFT": drift_url, "RETRAINING": retraining_url}
        variables = {
            **environment(settings, os.environ),
            "HOMEOSTAT_CONSOLE_HOST": settings.console_host,
            **{f"HOMEOSTAT_{name}_URL": url for name, url in given.items() if url},
        }
        url = f"{listener_scheme()}://{settings.console_host}:{settings.console_port}/"
        output.result({"console": url}, url)
        sys.stdout.flush()
        # The console replaces this process, so that it receives Ctrl-C and other signals itself.
        os.execve(sys.executable, [sys.executable, "-m", "services.console"], variables)
