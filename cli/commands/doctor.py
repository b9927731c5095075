"""`homeostat doctor`: checks this machine and the stack on it."""

from __future__ import annotations

from datetime import UTC, datetime

import typer
from rich.markup import escape
from rich.table import Table

from cli.command_settings import settings_with
from cli.home import find_home
from cli.options import DriftUrl, InferenceUrl, Json, RetrainingUrl, StackHome
from cli.output import FOUND_SOMETHING, command_output

MARKS = {"ok": "[green]ok[/]", "warning": "[yellow]warning[/]", "failure": "[bold red]failure[/]"}


def doctor(
    home: StackHome = None,
    inference_url: InferenceUrl = "",
    drift_url: DriftUrl = "",
    retraining_url: RetrainingUrl = "",
    as_json: Json = False,
) -> None:
    """Check the machine, every service, the data path and the monitoring.

    It checks Python, Java, jars, ports, disk, device, certificates, broker, topics, services, spool, lag, releases, lake, clock,
    Prometheus, Alertmanager, Grafana, Postgres and MLflow. Components that are not configured are listed and do not fail.
    A hint follows each failure. The exit code is 1 if a check failed.
    """
    from cli.checks.runner import checks, run_all
    from cli.progress import bar

    with command_output(as_json) as output:
        home = find_home(
            home, inference_url, drift_url, retraining_url, note=output.note, may_be_stopped=True
        )
        settings = settings_with(
            home, inference_url=inference_url, drift_url=drift_url, retraining_url=retraining_url
        )
        now = datetime.now(UTC)
        with bar(output, "checking", len(checks(settings, now))) as shown:
            results = run_all(settings, now, on_progress=shown.advance)
        table = Table(box=None, show_header=False)
        for result in results:
            if result.state == "off":
                continue
            hint = f"\n[bold]hint:[/] {escape(result.hint)}" if result.state != "ok" and result.hint else ""
            table.add_row(result.checked, MARKS[result.state], escape(result.found) + hint)
        unused = [result.checked for result in results if result.state == "off"]
        if unused:
            table.add_row("[dim]not configured[/]", "", f"[dim]{escape(', '.join(unused))}[/]")
        failed = [result.checked for result in results if result.state == "failure"]
        output.result({"ok": not failed, "findings": [result.document() for result in results]}, table)
        if failed:
            raise typer.Exit(FOUND_SOMETHING)
