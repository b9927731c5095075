"""Where the console finds the services, looked up anew at every look: a stack started again may have other ports."""

from __future__ import annotations

from dataclasses import dataclass

from local_stack.addresses import addresses
from local_stack.settings import LocalStackSettings
from local_stack.state import read_state
from shared.contracts.stack_state import StackState


@dataclass(frozen=True)
class Endpoints:
    """Base URLs without a slash at the end. `servers` are the inference servers; what watches the stack is empty where unknown.

    `logs` and `restarts` are known of the stack of this home alone, by the process's name.
    """

    servers: tuple[str, ...]
    shipper: str
    sink: str
    drift: str
    retraining: str
    prometheus: str = ""
    alertmanager: str = ""
    grafana: str = ""
    logs: tuple[tuple[str, str], ...] = ()
    restarts: tuple[tuple[str, int], ...] = ()

    def log(self, process: str) -> str:
        """The log of a process; empty where it is not known."""
        return dict(self.logs).get(process, "")

    def restarts_of(self, process: str) -> int:
        """How often a process was started again."""
        return dict(self.restarts).get(process, 0)


def find_endpoints(settings: LocalStackSettings) -> Endpoints:
    """A setting first, else the running stack of this home, else the default ports."""
    state = read_state(settings.home)
    three = addresses(settings)
    servers = tuple(url.strip().rstrip("/") for url in settings.console_servers.split(",") if url.strip())
    return Endpoints(
        servers=servers or (three.inference,),
        shipper=_base(settings, state, settings.shipper_url, "shipper", settings.shipper_port),
        sink=_base(settings, state, settings.sink_url, "sink", settings.sink_port),
        drift=three.drift,
        retraining=three.retraining,
        prometheus=_watching(settings, state, settings.prometheus_url, "prometheus"),
        alertmanager=_watching(settings, state, settings.alertmanager_url, "alertmanager"),
        grafana=settings.grafana_url.rstrip("/"),
        logs=tuple((process.name, process.log) for process in state.processes) if state else (),
        restarts=tuple((process.name, process.restarts) for process in state.processes) if state else (),
    )


def _base(settings: LocalStackSettings, state: StackState | None, given: str, name: str, port: int) -> str:
    found = state.ports.get(name, port) if state is not None else port
    return given.rstrip("/") or f"http://{settings.host}:{found}"


def _watching(settings: LocalStackSettings, state: StackState | None, given: str, name: str) -> str:
    """Prometheus and Alertmanager are looked for where a setting or this home's stack names them, not on a guess."""
    if given or state is None or name not in state.ports:
        return given.rstrip("/")
    return f"http://{settings.host}:{state.ports[name]}"
