"""Base URLs of the services, read again for each snapshot: a stack that is started again may have other ports."""

from __future__ import annotations

from dataclasses import dataclass, field

from services.console.settings import ConsoleSettings
from shared.contracts.stack_state import StackState, read_stack_state, state_path
from shared.errors import OperatorError
from shared.observability.monitoring_login import login_for

DEFAULT_PORTS = {"inference": 8000, "shipper": 8001, "drift": 8002, "retraining": 8003, "sink": 8004}


@dataclass(frozen=True)
class Endpoints:
    """Base URLs without a slash at the end. `servers` are the inference servers; monitoring is empty where unknown. A
    login is the value of an Authorization header; empty for none.

    `logs` and `restarts`, by the process's name, are known only for a local stack.
    """

    servers: tuple[str, ...]
    shipper: str
    sink: str
    drift: str
    retraining: str
    prometheus: str = ""
    alertmanager: str = ""
    grafana: str = ""
    prometheus_login: str = field(default="", repr=False)
    alertmanager_login: str = field(default="", repr=False)
    logs: tuple[tuple[str, str], ...] = ()
    restarts: tuple[tuple[str, int], ...] = ()

    def log(self, process: str) -> str:
        """Path of a process's log; empty where it is not known."""
        return dict(self.logs).get(process, "")

    def restarts_of(self, process: str) -> int:
        """How often the supervisor has restarted a process."""
        return dict(self.restarts).get(process, 0)


def find_endpoints(settings: ConsoleSettings) -> Endpoints:
    """From the settings first, else from the local stack's state, else the default ports of this machine."""
    state = read_stack_state(settings.stack_state or state_path(settings.home))
    return Endpoints(
        servers=settings.server_urls or (_service("inference", settings.inference_url, state),),
        shipper=_service("shipper", settings.shipper_url, state),
        sink=_service("sink", settings.sink_url, state),
        drift=_service("drift", settings.drift_url, state),
        retraining=_service("retraining", settings.retraining_url, state),
        # Without an address, monitoring is not shown: its default ports would only be a guess.
        prometheus=settings.prometheus_url.rstrip("/") or _in_stack("prometheus", state),
        alertmanager=settings.alertmanager_url.rstrip("/") or _in_stack("alertmanager", state),
        grafana=settings.grafana_url.rstrip("/"),
        prometheus_login=_login(settings, settings.prometheus_url),
        alertmanager_login=_login(settings, settings.alertmanager_url),
        logs=tuple((process.name, process.log) for process in state.processes) if state else (),
        restarts=tuple((process.name, process.restarts) for process in state.processes) if state else (),
    )


def _service(name: str, given: str, state: StackState | None) -> str:
    return given.rstrip("/") or _in_stack(name, state) or f"http://127.0.0.1:{DEFAULT_PORTS[name]}"


def _login(settings: ConsoleSettings, given: str) -> str:
    """The Authorization header for a server of the monitoring. A file that cannot be read shows as a refused request."""
    try:
        login = login_for(settings, given)
    except OperatorError:
        return ""
    return login.authorization if login is not None else ""


def _in_stack(name: str, state: StackState | None) -> str:
    """The base of the address that the local stack gives for a process; empty where it gives none."""
    return state.base_url(name) if state is not None else ""
