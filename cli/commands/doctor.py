"""`homeostat doctor`: is this machine, and the stack on it, as it should be."""

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
    """Check the machine, every part of the loop, and what watches it.

    Python, Java, jars, ports, disk, device, broker, topics, services, spool, lag, releases, lake, clock, Prometheus,
    Alertmanager, Grafana, Postgres, MLflow. What is not set up is named and no failure. Each failure comes with the command
    that mends it; exit code 1 when there is one.
    """
    from cli.checks.runner import checks, examine
    from cli.progress import bar

    with command_output(as_json) as output:
        home = find_home(home, inference_url, drift_url, retraining_url, note=output.note)
        settings = settings_with(
            home, inference_url=inference_url, drift_url=drift_url, retraining_url=retraining_url
        )
        now = datetime.now(UTC)
        with bar(output, "looking", len(checks(settings, now))) as shown:
            findings = examine(settings, now, on_progress=shown.advance)
        table = Table(box=None, show_header=False)
        for finding in findings:
            if finding.state == "off":
                continue
            hint = (
                f"\n[bold]hint:[/] {escape(finding.hint)}" if finding.state != "ok" and finding.hint else ""
            )
            table.add_row(finding.checked, MARKS[finding.state], escape(finding.found) + hint)
        unused = [finding.checked for finding in findings if finding.state == "off"]
        if unused:
            table.add_row("[dim]not set up[/]", "", f"[dim]{escape(', '.join(unused))}[/]")
        failed = [finding.checked for finding in findings if finding.state == "failure"]
        output.result({"ok": not failed, "findings": [finding.document() for finding in findings]}, table)
        if failed:
            raise typer.Exit(FOUND_SOMETHING)
