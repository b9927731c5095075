"""`homeostat certificates`: a CA of one's own, to try encrypted connections."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.command_group import CommandGroup
from cli.options import Home, Json
from cli.output import command_output

certificates = typer.Typer(
    cls=CommandGroup,
    help="Make certificates to try encrypted connections.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@certificates.callback()
def _group() -> None:
    """With one command typer would make no group."""


@certificates.command(epilog="Example: homeostat certificates create --name serving.example.org")
def create(
    folder: Annotated[
        Path | None, typer.Option(help="Folder of the files. Default: `tls` in the data folder.")
    ] = None,
    name: Annotated[
        list[str] | None,
        typer.Option(
            help="Host name or IP address of the services, beside localhost, 127.0.0.1, ::1 and those of the last certificate. "
            "Can be repeated."
        ),
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=825, help="Days until the certificates expire.")] = 365,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Make a CA once, and with it new certificates for listeners and clients.

    Private keys get mode 0600. A file with the settings for a shell is written, too. Run it again to renew the certificates:
    the CA and the names stay, and running services use the new ones without a restart.
    """
    from cli.command_settings import client_settings
    from local_stack.certificates import create_certificates

    with command_output(as_json) as output:
        made = create_certificates(folder or client_settings(home).home / "tls", name or (), days=days)
        files = {
            "ca": made.ca,
            "certificate": made.server,
            "key": made.server_key,
            "client_certificate": made.client,
            "client_key": made.client_key,
            "settings": made.settings,
        }
        lines = [f"{title.replace('_', ' '):18} {path}" for title, path in files.items()]
        output.result(
            files, "\n".join([*lines, f"use them: set -a; . {made.settings}; set +a; homeostat up"])
        )
