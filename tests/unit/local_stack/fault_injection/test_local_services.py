"""Rows are injected into this home's running stack, and nowhere else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app
from local_stack.fault_injection.local_services import find_local_services
from local_stack.settings import LocalStackSettings
from local_stack.state import write_state
from local_stack.supervisor.lock import only_one
from shared.contracts.stack_state import StackState
from shared.errors import CallerError, OperatorError
from tests.unit.cli.fake_service import FakeService, fake_service

COMMANDS = ("traffic", "drift", "concept-drift", "fault")


@pytest.fixture
def service() -> Iterator[FakeService]:
    with fake_service() as fake:
        yield fake


def run(home: Path, command: str, **environment: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["inject", command, "--home", str(home), "--json"], env=environment)
    return done.exit_code, str(json.loads(done.stdout)["error"])


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("setting", ["HOMEOSTAT_INFERENCE_URL", "HOMEOSTAT_DRIFT_URL"])
def test_other_machine_is_refused_before_any_request(
    tmp_path: Path, command: str, setting: str, service: FakeService
) -> None:
    with running(tmp_path, service):
        code, error = run(tmp_path, command, **{setting: "http://192.0.2.1:8000"})
    assert (code, "192.0.2.1:8000 is not on this machine" in error) == (3, True)
    assert service.asked == []


@pytest.mark.parametrize("command", COMMANDS)
def test_no_request_without_a_stack(tmp_path: Path, command: str, service: FakeService) -> None:
    port = service.url.rsplit(":", 1)[1]
    code, error = run(tmp_path, command, HOMEOSTAT_INFERENCE_PORT=port, HOMEOSTAT_DRIFT_PORT=port)
    assert (code, "no supervised stack runs" in error) == (5, True)
    code, error = run(tmp_path, command, HOMEOSTAT_INFERENCE_URL=service.url)
    assert (code, "no supervised stack runs" in error) == (5, True)
    assert service.asked == []


def test_state_file_without_supervisor_is_no_stack(tmp_path: Path, service: FakeService) -> None:
    write_state(tmp_path, state(8000))
    with pytest.raises(OperatorError, match="no supervised stack"):
        find_local_services(LocalStackSettings(home=tmp_path))


def test_ports_come_from_the_stack(tmp_path: Path, service: FakeService) -> None:
    with running(tmp_path, service) as port:
        own = f"http://127.0.0.1:{port}"
        found = find_local_services(LocalStackSettings(home=tmp_path, inference_port=1))
        assert (found.inference, found.drift) == (own, own)
        named = f"http://localhost:{port}"
        found = find_local_services(LocalStackSettings(home=tmp_path, inference_url=named))
        assert (found.inference, found.drift) == (named, own)
        with pytest.raises(CallerError, match=f"has port {port}") as refused:
            find_local_services(LocalStackSettings(home=tmp_path, inference_url="http://127.0.0.1:1"))
        assert "unset HOMEOSTAT_INFERENCE_URL" in refused.value.hint
        with pytest.raises(CallerError, match="not on this machine"):
            find_local_services(LocalStackSettings(home=tmp_path, host="192.0.2.1"))


@contextmanager
def running(home: Path, service: FakeService) -> Iterator[int]:
    """A supervised stack on `home` whose inference and drift are `service`; its port."""
    port = int(service.url.rsplit(":", 1)[1])
    write_state(home, state(port))
    with only_one(home):
        yield port


def state(port: int) -> StackState:
    ports = {"inference": port, "drift": port}
    return StackState(pid=1, created=0, home="", kafka="", started_at="", ports=ports, urls={}, processes=())
