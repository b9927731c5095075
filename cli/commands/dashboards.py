"""`homeostat dashboards`: publish the boards to an existing Grafana."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from cli.command_group import CommandGroup
from cli.command_settings import settings_with
from cli.options import Json
from cli.output import FOUND_SOMETHING, command_output

dashboards = typer.Typer(
    cls=CommandGroup,
    help="Publish the boards to an existing Grafana, and check them.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

GrafanaUrl = Annotated[str, typer.Option(help="Base URL of Grafana. Default: HOMEOSTAT_GRAFANA_URL.")]
MARKS = {
    "created": "[green]created[/]",
    "updated": "[green]updated[/]",
    "unchanged": "unchanged",
    "kept": "[yellow]kept[/]",
    "off": "[dim]off[/]",
    "ok": "[green]ok[/]",
    "warning": "[yellow]warning[/]",
    "failure": "[bold red]failure[/]",
}


@dashboards.command(
    epilog="Example: homeostat dashboards publish --prometheus-url http://prometheus:9090 --dry-run"
)
def publish(
    grafana_url: GrafanaUrl = "",
    prometheus_url: Annotated[
        str,
        typer.Option(
            help="Prometheus as seen from Grafana. Default for a new data source: HOMEOSTAT_PROMETHEUS_URL or this machine."
        ),
    ] = "",
    datasource_uid: Annotated[
        str, typer.Option(help="UID of an existing Prometheus data source in Grafana to use.")
    ] = "",
    boards: Annotated[
        Path | None, typer.Option(help="Folder with the boards. Default: the shipped boards.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Also replace boards that were changed in Grafana.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list the changes.")] = False,
    as_json: Json = False,
) -> None:
    """Create the folder, the Prometheus data source and the boards in Grafana; a second run changes nothing.

    Credentials are read from the HOMEOSTAT_GRAFANA_… settings, not from the command line. Boards
    that were changed in Grafana are kept and listed, with exit code 1, unless --overwrite is given.
    """
    from cli.grafana.publisher import Publication, PublishOptions
    from cli.grafana.shipped_boards import SHIPPED, read_boards
    from shared.errors import CallerError
    from shared.grafana.access import access_from
    from shared.grafana.client import GrafanaClient
    from shared.observability.monitoring_login import login_for
    from shared.tls.client_environment import ca_text, listener_scheme

    with command_output(as_json) as output:
        settings = settings_with(None, grafana_url=grafana_url)
        if prometheus_url and datasource_uid:
            raise CallerError(
                "--prometheus-url and --datasource-uid cannot be used together",
                hint="give one of them",
            )
        if prometheus_url and not prometheus_url.startswith(("http://", "https://")):
            raise CallerError(f"--prometheus-url is {prometheus_url!r}; expected http:// or https://")
        options = PublishOptions(
            prometheus_url=prometheus_url,
            data_source_uid=datasource_uid,
            default_url=settings.prometheus_url
            or f"{listener_scheme()}://{settings.host}:{settings.prometheus_port}",
            login=login_for(settings, prometheus_url or settings.prometheus_url),
            ca=ca_text(),
            overwrite=overwrite,
            dry_run=dry_run,
        )
        grafana = GrafanaClient(access_from(settings))
        shipped = read_boards(boards or SHIPPED)
        health, login = grafana.health(), grafana.check_login()
        output.note(f"Grafana {health.version} at {grafana.url}, organization {login.organization}")
        items = list(Publication(grafana, shipped, options).run())
        kept = [item.uid for item in items if item.result == "kept"]
        table = Table(box=None, caption="nothing was changed: --dry-run" if dry_run else None)
        for column in ("what", "uid", "title", "would be" if dry_run else "is", "detail"):
            table.add_column(column)
        for item in items:
            table.add_row(item.kind, item.uid, escape(item.title), MARKS[item.result], escape(item.detail))
        output.result(
            {
                "grafana": grafana.url,
                "version": health.version,
                "organization": login.organization,
                "dry_run": dry_run,
                "ok": not kept,
                "items": [item.document() for item in items],
            },
            table,
        )
        if kept:
            raise typer.Exit(FOUND_SOMETHING)


@dashboards.command(epilog="Example: homeostat dashboards check --json")
def check(grafana_url: GrafanaUrl = "", as_json: Json = False) -> None:
    """Check that Grafana accepts the credentials, reaches Prometheus and has the shipped boards; exit code 1 if not."""
    from cli.grafana.diagnosis import check_grafana

    with command_output(as_json) as output:
        results = list(check_grafana(settings_with(None, grafana_url=grafana_url)))
        table = Table(box=None, show_header=False)
        for result in results:
            hint = f"\n[bold]hint:[/] {escape(result.hint)}" if result.hint else ""
            table.add_row(result.checked, MARKS[result.state], escape(result.found) + hint)
        failed = any(result.state == "failure" for result in results)
        output.result({"ok": not failed, "findings": [result.document() for result in results]}, table)
        if failed:
            raise typer.Exit(FOUND_SOMETHING)
