"""`homeostat status`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from local_stack import running_stacks
from local_stack.state import write_state
from local_stack.supervisor.lock import only_one
from shared.contracts.stack_state import StackState
from tests.unit.cli.command import run
from tests.unit.cli.fake_service import FakeService
from tests.unit.local_stack.test_running_stacks import process_of


def test_status_without_a_stack_has_a_hint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running_stacks, "running_homes", list)  # whatever else runs on this machine
    shown = run("status", "--home", str(tmp_path))
    assert shown.exit_code == 3
    assert "homeostat up" in shown.stderr


def test_status_of_a_home_without_a_stack_lists_the_running_ones(tmp_path: Path) -> None:
    running = tmp_path / "running"
    with process_of(running), only_one(running):
        shown = run("status", "--home", str(tmp_path / "empty"))
    assert shown.exit_code == 3
    assert "no stack runs on" in shown.stderr
    assert str(running) in shown.stderr


def test_status_shows_waiting_runs(
    service: FakeService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_state(tmp_path, StackState(1, 0.0, str(tmp_path), "", "", {}, {}, ()))
    for name in ("INFERENCE", "DRIFT", "RETRAINING"):
        monkeypatch.setenv(f"HOMEOSTAT_{name}_URL", service.url)
    service.answers["GET /runs"] = (
        200,
        {"runs": [{"run_id": "run-1", "model": "a", "state": "suggested", "created_at": "2013"}]},
    )
    shown = run("status", "--home", str(tmp_path))
    assert f"`homeostat approve run-1 --home {tmp_path}` starts it" in shown.stdout
    [first, *_] = json.loads(run("status", "--home", str(tmp_path), "--json").stdout)["waiting_runs"]
    assert first == {
        "run_id": "run-1",
        "model": "a",
        "state": "suggested",
        "cause_reason": None,
        "created_at": "2013",
        "next_step": f"`homeostat approve run-1 --home {tmp_path}` starts it",
    }


def test_stopped_stack_does_not_show_the_models_of_another(service: FakeService, tmp_path: Path) -> None:
    port = int(service.url.rsplit(":", 1)[1])
    ports = dict.fromkeys(("inference", "drift", "retraining"), port)
    write_state(tmp_path, StackState(1, 0.0, str(tmp_path), "", "", ports, {}, ()))
    run("status", "--home", str(tmp_path))
    assert service.asked == []
    with only_one(tmp_path):
        run("status", "--home", str(tmp_path))
    assert ("GET /status.json", None) in service.asked


def test_status_shows_unacknowledged_decisions(
    service: FakeService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_state(tmp_path, StackState(1, 0.0, str(tmp_path), "", "", {}, {}, ()))
    for name in ("INFERENCE", "DRIFT", "RETRAINING"):
        monkeypatch.setenv(f"HOMEOSTAT_{name}_URL", service.url)
    group = {"model": "a", "issue": "drift", "count": 1, "since": "2013", "newest_key": "k", "reason": "r"}
    service.answers["GET /decisions"] = (200, {"decisions": [], "unacknowledged": [group]})
    assert "a, drift: r." in run("status", "--home", str(tmp_path)).stdout
    document = json.loads(run("status", "--home", str(tmp_path), "--json").stdout)
    assert document["unacknowledged"] == [group]
