"""`homeostat console`: a link that logs a browser in to the console, which is started if none runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from cli.command_settings import settings_with
from cli.home import find_home
from cli.login_link import VALID, is_at, is_console, login_link, reachable, wait_for_console
from cli.options import DriftUrl, InferenceUrl, Json, RetrainingUrl, StackHome
from cli.output import Output, command_output
from local_stack.state import read_state
from shared.access.installation_keys import ensure_installation_keys
from shared.access.key_file import key_file_path
from shared.access.loopback import is_loopback
from shared.errors import HomeostatError
from shared.tls.client_environment import listener_scheme

if TYPE_CHECKING:
    from local_stack.settings import LocalStackSettings

_START_S = 60.0


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
    """Print a link that logs your browser in to the console; if none runs, serve it until Ctrl-C.

    The link is valid once, for a minute. It logs in with the key of this installation's user, or with HOMEOSTAT_API_KEY if that
    is set. `homeostat up` starts the console, too.
    """
    with command_output(as_json) as output:
        home = find_home(home, inference_url, drift_url, retraining_url, note=output.note)
        settings = settings_with(home, console_port=port)
        public_url = os.environ.get("HOMEOSTAT_CONSOLE_URL", "")
        url = f"{listener_scheme()}://{reachable(settings.console_host)}:{settings.console_port}/"
        state = read_state(settings.home)
        running = state.urls.get("console", "") if state is not None else ""
        for found in (running if port is None or is_at(running, port) else "", url):
            if found and is_console(found):
                _show(output, found, login_link(found, settings.home, public_url=public_url))
                return
        given = {"INFERENCE": inference_url, "DRIFT": drift_url, "RETRAINING": retraining_url}
        _serve(output, settings, url, public_url, {name: given[name] for name in given if given[name]})


def _serve(
    output: Output, settings: LocalStackSettings, url: str, public_url: str, services: Mapping[str, str]
) -> NoReturn:
    """Become the console."""
    # Imported here: the other commands must not wait for it.
    from local_stack.ports import require_free
    from local_stack.supervisor.process_specs import environment

    require_free(settings.console_host, settings.console_port, "HOMEOSTAT_CONSOLE_PORT")
    ensure_installation_keys(settings.home.absolute(), key_file_path(settings))
    variables = {
        **environment(settings, os.environ),
        "HOMEOSTAT_CONSOLE_HOST": settings.console_host,
        "HOMEOSTAT_ANONYMOUS_ACCESS": str(is_loopback(settings.console_host)).lower(),
        **{f"HOMEOSTAT_{name}_URL": given for name, given in services.items()},
    }
    _print_link_when_ready(output, settings.home, url, public_url)
    # The console replaces this process, so that it receives Ctrl-C and other signals itself.
    os.execve(sys.executable, [sys.executable, "-m", "services.console"], variables)


def _print_link_when_ready(output: Output, home: Path, url: str, public_url: str) -> None:
    """Start a process that prints the link once the console, which this process becomes, answers.

    It is a grandchild: the console has no children to reap.
    """
    console = os.getpid()
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    if os.fork():
        os._exit(0)
    try:
        if wait_for_console(url, console, _START_S):
            _show(output, url, login_link(url, home, public_url=public_url))
    except HomeostatError as error:
        _show(output, url, "")
        output.note(str(error))
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def _show(output: Output, url: str, link: str) -> None:
    output.result({"console": url, "login": link}, link or url)
    if link:
        output.note(VALID)
