"""`homeostat up`: start the stack on this machine."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from cli.command_settings import settings_with
from cli.options import Home, Json
from cli.output import Teller, telling
from cli.progress import bar
from local_stack.kafka.jars import ensure_jars
from local_stack.observability.processes import make_observability
from local_stack.ports import free_port
from local_stack.state import StackState
from local_stack.supervisor.launch import PORTS, run_attached, start_detached
from local_stack.supervisor.lock import supervisor_pid
from shared.errors import Conflict

Port = Annotated[int | None, typer.Option(min=1, max=65535, show_default=False, help="Its port.")]


def up(
    home: Home = None,
    detach: Annotated[
        bool, typer.Option(help="Return once everything is ready; `homeostat down` ends it.")
    ] = False,
    inference_port: Port = None,
    shipper_port: Port = None,
    drift_port: Port = None,
    retraining_port: Port = None,
    sink_port: Port = None,
    broker_port: Port = None,
    controller_port: Port = None,
    prometheus_port: Port = None,
    alertmanager_port: Port = None,
    console_port: Port = None,
    observability: Annotated[
        bool, typer.Option("--observability", help="Start Prometheus and Alertmanager as well.")
    ] = False,
    free_ports: Annotated[bool, typer.Option(help="Take free ports for everything not given.")] = False,
    wait: Annotated[
        float, typer.Option(min=0, help="Seconds to wait until all is ready; 0: do not look.")
    ] = 180.0,
    as_json: Json = False,
) -> None:
    """Start the broker and every service, and keep them alive."""
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
    with telling(as_json) as teller:
        ports = {name: port for name, port in zip(PORTS, given, strict=True) if port is not None}
        if free_ports:
            ports = {name: ports.get(name) or free_port() for name in PORTS}
        settings = settings_with(home, **ports)
        running = supervisor_pid(settings.home)
        if running is not None:
            raise Conflict(
                f"the stack of {settings.home} runs already (supervisor pid {running})",
                hint="look at it with `homeostat status`, end it with `homeostat down`, or use another --home",
            )
        watching = make_observability(settings) if observability else None
        # Before anything waits for readiness: the first time this takes as long as the network does.
        with bar(teller, "the broker's jars") as shown:
            ensure_jars(settings.kafka_jars, told=teller.note, fetched=shown.set)
        start = start_detached if detach else run_attached
        start(
            settings,
            wait_s=wait,
            on_ready=lambda state: show_links(teller, state),
            # Standard error, also with --json: a process that exits is news for both readers.
            on_progress=lambda text: teller.err.print(text, markup=False, highlight=False, soft_wrap=True),
            console=None if as_json else teller.err,
            observability=watching,
        )


def show_links(teller: Teller, state: StackState) -> None:
    """The pages of the stack, Kafka's address and the folder of the data."""
    table = Table(box=None, show_header=False)
    for name, url in state.urls.items():
        table.add_row(name, f"[link={url}]{url}[/]")
    table.add_row("kafka", state.kafka)
    table.add_row("data", escape(state.home))
    teller.result(state.model_dump(), table)
