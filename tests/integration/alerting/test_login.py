"""A real Prometheus and Alertmanager of a stack refuse everybody without the login; what belongs to the stack has it."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from cli.checks.alertmanager import alertmanager
from cli.checks.prometheus import prometheus
from local_stack.certificates import create_certificates
from local_stack.observability.processes import Observability, make_observability
from local_stack.ports import free_port
from local_stack.settings import LocalStackSettings
from local_stack.state import write_state
from local_stack.supervisor.readiness import is_ready
from services.console.aggregation.endpoints import find_endpoints
from services.console.settings import ConsoleSettings
from shared.contracts.stack_state import ProcessState, StackState
from shared.observability.monitoring_login import MonitoringLogin, installation_login
from tests.observability import Program, eventually, program
from tests.waiting import bound

ASKED = {
    "prometheus": (
        "/",
        "/-/ready",
        "/metrics",
        "/api/v1/query?query=up",
        "/api/v1/status/config",
        "/federate",
    ),
    "alertmanager": ("/", "/-/ready", "/metrics", "/api/v2/status", "/api/v2/alerts", "/api/v2/silences"),
}


@dataclass(frozen=True)
class Watching:
    """Both programs as `homeostat up` starts them, and how their CA is trusted."""

    settings: LocalStackSettings
    made: Observability
    state: StackState
    verify: ssl.SSLContext | bool

    def get(self, name: str, path: str, login: MonitoringLogin | None = None) -> int:
        headers = {"Authorization": login.authorization} if login else {}
        with httpx.Client(trust_env=False, verify=self.verify, timeout=bound(10)) as client:
            return client.get(self.base(name) + path, headers=headers).status_code

    def base(self, name: str) -> str:
        return self.state.base_url(name)


class Started(Program):
    """Ready when the stack says so."""

    def __init__(self, state: StackState, process: ProcessState, command: tuple[str, ...], log: Path) -> None:
        super().__init__(process.name, command, process.port, log)
        self._of = (process, state)

    def _is_ready(self) -> bool:
        return is_ready(*self._of)


@pytest.fixture(scope="module", params=["http", "https"])
def watching(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watching]:
    for name in ASKED:
        program(name)
    folder = tmp_path_factory.mktemp("watching")
    with pytest.MonkeyPatch.context() as patch, ExitStack() as running:
        verify: ssl.SSLContext | bool = True
        if request.param == "https":
            made = create_certificates(folder / "tls")
            patch.setenv("HOMEOSTAT_TLS_CERTIFICATE", str(made.server))
            patch.setenv("HOMEOSTAT_TLS_KEY", str(made.server_key))
            patch.setenv("HOMEOSTAT_TLS_CA", str(made.ca))
            verify = ssl.create_default_context(cafile=str(made.ca))
        ports = {f"{name}_port": free_port() for name in ASKED}
        settings = LocalStackSettings().model_copy(update={"home": folder / "home", **ports})
        watched = make_observability(settings)
        watched.write()
        processes = tuple(
            ProcessState(
                name=spec.name,
                pid=1,
                created=0.0,
                port=spec.port,
                restarts=0,
                log="",
                ready_url=f"{spec.scheme}://127.0.0.1:{spec.port}{spec.ready_path}",
            )
            for spec in watched.specs
        )
        state = StackState(1, 0.0, str(settings.home), "", "", {}, dict(watched.links), processes)
        write_state(settings.home, state)
        for spec, process in zip(watched.specs, processes, strict=True):
            running.enter_context(Started(state, process, spec.command, folder / f"{spec.name}.log"))
        yield Watching(settings, watched, state, verify)


@pytest.mark.parametrize("name", ASKED)
def test_nobody_without_the_login_is_answered(watching: Watching, name: str) -> None:
    login = installation_login(watching.settings.home)
    assert login is not None
    wrong = MonitoringLogin(login.user, login.password[:-1] + ("a" if login.password[-1] != "a" else "b"))
    for path in ASKED[name]:
        assert watching.get(name, path) == 401, path
        assert watching.get(name, path, wrong) == 401, path
        assert watching.get(name, path, MonitoringLogin("admin", login.password)) == 401, path
        assert watching.get(name, path, login) in (200, 302), path


def test_both_reach_each_other_and_the_commands_reach_both(watching: Watching) -> None:
    def problems() -> list[str]:
        results = [*prometheus(watching.settings, next_scrape_s=0), *alertmanager(watching.settings)]
        found = {result.checked: result for result in results}
        assert {"prometheus", "alertmanager", "alerts", "rules"} <= set(found), results
        # No service runs beside them, so the targets are down; those of the two are not.
        down = found["targets"].found.split("; not scraped")[0]
        states = [name for name in ASKED if f"{name} (" in down]
        return states + [name for name, one in found.items() if one.state != "ok" and name != "targets"]

    eventually(lambda: not problems(), lambda: f"every check is well: {problems()}")


def test_console_has_the_login_and_shows_both(watching: Watching) -> None:
    endpoints = find_endpoints(ConsoleSettings().model_copy(update={"home": watching.settings.home}))
    login = installation_login(watching.settings.home)
    assert login is not None
    assert endpoints.prometheus == watching.base("prometheus")
    assert endpoints.prometheus_login == endpoints.alertmanager_login == login.authorization
    assert login.password not in repr(endpoints)


def test_without_tls_nothing_is_answered_where_there_is_tls(watching: Watching) -> None:
    if watching.verify is True:
        pytest.skip("this one has no TLS")
    plain = watching.base("prometheus").replace("https://", "http://")
    with httpx.Client(trust_env=False, timeout=bound(10)) as client:
        assert client.get(f"{plain}/metrics").status_code == 400
