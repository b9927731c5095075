"""`homeostat deploy` checks the stack before it trains. With the real training: tests/integration/cli/test_deploy.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.main import app
from local_stack.ports import free_port
from local_stack.supervisor.lock import only_one
from tests.unit.cli.fake_service import FakeService
from tests.unit.local_stack.test_ports import listener_of, write_stack
from tests.unit.local_stack.test_running_stacks import process_of


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A new project whose training command leaves a file, so that one sees whether it ran."""
    folder = tmp_path / "project"
    assert CliRunner().invoke(app, ["init", str(folder)]).exit_code == 0
    (folder / "train.py").write_text("open('trained', 'w')\n")
    (folder / "rows.parquet").touch()
    return folder


def deploy(project: Path, *options: str) -> Result:
    rows = str(project / "rows.parquet")
    return CliRunner().invoke(app, ["deploy", str(project), "--train", rows, "--holdout", rows, *options])


def test_other_home_is_refused_before_training(project: Path, tmp_path: Path) -> None:
    running = tmp_path / "running"
    with process_of(running), only_one(running):
        done = deploy(project, "--home", str(tmp_path / "empty"))
    assert done.exit_code == 5, done.output
    assert f"the stack of {tmp_path / 'empty'} is not running" in done.stderr
    assert str(running) in done.stderr
    assert not (project / "trained").exists()


def test_unreachable_retraining_is_reported_before_training(project: Path, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    done = deploy(project, "--home", str(tmp_path / "empty"), "--retraining-url", url)
    assert done.exit_code == 5, done.output
    assert "retraining cannot be reached" in done.stderr
    assert not (project / "trained").exists()


def test_stack_of_another_home_is_refused_before_training(project: Path, tmp_path: Path) -> None:
    with listener_of(tmp_path / "theirs") as (pid, port):
        write_stack(tmp_path / "theirs", pid, port)
        url = f"http://127.0.0.1:{port}"
        done = deploy(project, "--home", str(tmp_path / "ours"), "--retraining-url", url)
    assert done.exit_code == 5, done.output
    assert f"the stack at {url} runs on {tmp_path / 'theirs'}" in done.stderr
    assert not (project / "trained").exists()
    assert not (tmp_path / "ours").exists()


@pytest.mark.parametrize("status", [401, 403])
def test_key_that_may_not_deploy_is_refused_before_training(
    project: Path, tmp_path: Path, service: FakeService, status: int
) -> None:
    service.answers["GET /health/live"] = (200, {})
    service.answers["POST /models/any/deployments"] = (status, {"error": "shop lacks the scope admin"})
    done = deploy(project, "--home", str(tmp_path / "empty"), "--retraining-url", service.url)
    assert done.exit_code == 3, done.output
    assert "shop lacks the scope admin" in done.stderr
    assert not (project / "trained").exists()
    assert service.asked[-1] == ("POST /models/any/deployments", {})


@pytest.mark.parametrize(
    "option", ["--outcome", "--labels", "--event-time", "--positive", "--kind", "--name"]
)
def test_options_of_an_export_need_a_reference(project: Path, tmp_path: Path, option: str) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    done = deploy(project, "--home", str(tmp_path / "empty"), "--retraining-url", url, option, "late")
    assert done.exit_code == 3, done.output
    assert (
        "--outcome, --labels, --event-time, --positive, --kind, --name and --runtime require --reference"
        in done.stderr
    )
    assert not (project / "trained").exists()
