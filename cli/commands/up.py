"""`homeostat up`: start the stack on this machine."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer
from rich.markup import escape
from rich.table import Table

from cli.command_settings import settings_with
from cli.login_link import VALID, login_link
from cli.options import Home, Json
from cli.output import Output, command_output
from shared.access.loopback import is_loopback
from shared.errors import Conflict, HomeostatError
from shared.observability.monitoring_login import USER, password_path
from shared.observability.unknown_variables import unknown_variables

if TYPE_CHECKING:
    from shared.contracts.stack_state import StackState


def _port_option(name: str, title: str = "") -> Any:
    return typer.Option(
        min=1,
        max=65535,
        show_default=False,
        help=f"Port of {title or name}. Default: HOMEOSTAT_{name.upper()}_PORT.",
    )


def up(
    home: Home = None,
    detach: Annotated[
        bool, typer.Option(help="Run in the background; return once everything is ready.")
    ] = False,
    inference_port: Annotated[int | None, _port_option("inference")] = None,
    shipper_port: Annotated[int | None, _port_option("shipper")] = None,
    drift_port: Annotated[int | None, _port_option("drift")] = None,
    retraining_port: Annotated[int | None, _port_option("retraining")] = None,
    sink_port: Annotated[int | None, _port_option("sink")] = None,
    broker_port: Annotated[int | None, _port_option("broker", "the broker")] = None,
    controller_port: Annotated[
        int | None, _port_option("controller", "the broker's KRaft controller")
    ] = None,
    prometheus_port: Annotated[int | None, _port_option("prometheus", "Prometheus")] = None,
    alertmanager_port: Annotated[int | None, _port_option("alertmanager", "Alertmanager")] = None,
    console_port: Annotated[int | None, _port_option("console")] = None,
    observability: Annotated[
        bool, typer.Option("--observability", help="Also start Prometheus and Alertmanager.")
    ] = False,
    free_ports: Annotated[
        bool, typer.Option(help="Choose a free port for every process without a port option.")
    ] = False,
    wait: Annotated[
        float, typer.Option(min=0, help="Seconds to wait until everything is ready; 0 does not wait.")
    ] = 180.0,
    as_json: Json = False,
) -> None:
    """Start the broker and every service, and restart any process that exits.

    Runs in the foreground until Ctrl-C; with --detach it returns once everything is ready.
    """
    from cli.progress import bar
    from local_stack.host_check import check_host, ignored_hosts
    from local_stack.kafka.jars import ensure_jars
    from local_stack.observability.processes import make_observability
    from local_stack.ports import free_port
    from local_stack.supervisor.launch import PORTS, run_attached, start_detached
    from local_stack.supervisor.lock import supervisor_pid

    given = (
        inference_port,
        shipper_port,
        drift_port,
        retraining_port,
        sink_port,
        broker_port,
        controller_port,
        prometheus_port,
        alertmanager_port,
        console_port,
    )
    with command_output(as_json) as output:
        ports = {name: port for name, port in zip(PORTS, given, strict=True) if port is not None}
        if free_ports:
            ports = {name: ports.get(name) or free_port() for name in PORTS}
        settings = settings_with(home, **ports)
        for problem in (*unknown_variables(os.environ), *ignored_hosts(settings.host, os.environ)):
            output.note(problem)
        running = supervisor_pid(settings.home)
        if running is not None:
            raise Conflict(
                f"the stack of {settings.home} is already running (supervisor pid {running})",
                hint="check it with `homeostat status`, stop it with `homeostat down`, or use another --home",
            )
        check_host(settings.host)
        monitoring = make_observability(settings) if observability else None
        # The first start downloads the jars; do that before the readiness timeout begins.
        with bar(output, "the broker's jars") as shown:
            ensure_jars(settings.kafka_jars, on_progress=output.note, fetched=shown.set)
        start = start_detached if detach else run_attached
        start(
            settings,
            wait_s=wait,
            on_ready=lambda state: show_links(output, state),
            # To standard error also with --json, since it reports processes that exit.
            on_progress=lambda text: output.err.print(text, markup=False, highlight=False, soft_wrap=True),
            console=None if as_json else output.err,
            observability=monitoring,
        )


def show_links(output: Output, state: StackState) -> None:
    """The pages of the stack, Kafka's address and the folder of the data."""
    table = Table(box=None, show_header=False)
    link = _login_link(output, state)
    for name, url in state.urls.items():
        shown = link if name == "console" and link else url
        table.add_row(name, f"[link={shown}]{shown}[/]")
    table.add_row("kafka", state.kafka)
    table.add_row("data", escape(state.home))
    output.result(asdict(state), table)
    if "prometheus" in state.urls:
        output.note(
            f"Prometheus and Alertmanager: user {USER}, password in {password_path(Path(state.home))}"
        )
    if link:
        output.note(f"The link of the console logs you in: {VALID}.")
    if not output.as_json:
        output.note(_who_may_read(state))


def _who_may_read(state: StackState) -> str:
    given = os.environ.get("HOMEOSTAT_ANONYMOUS_ACCESS", "").lower()
    host = urlsplit(state.urls.get("inference", "")).hostname or ""
    if given not in ("false", "0", "off", "no", "f", "n") and is_loopback(host):
        return (
            "Programs of this machine need no key to request predictions, post outcomes and read; "
            "HOMEOSTAT_ANONYMOUS_ACCESS=false changes that. What acts needs one."
        )
    return "Every request needs an API key: `homeostat keys create` makes one."


def _login_link(output: Output, state: StackState) -> str:
    """A link that logs a browser in; empty for programs, and while the console is not ready."""
    url = state.urls.get("console", "")
    if output.as_json or not url:
        return ""
    try:
        return login_link(url, Path(state.home), public_url=os.environ.get("HOMEOSTAT_CONSOLE_URL", ""))
    except HomeostatError as error:
        output.note(f"no link to log in: {error}")
        return ""
