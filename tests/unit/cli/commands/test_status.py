"""`homeostat status`."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.commands.status import models_table
from cli.model_overview import ModelOverview
from local_stack import running_stacks
from local_stack.supervisor.lock import only_one
from tests.unit.cli.command import run
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


def test_baseline_loss_is_labelled_first_version() -> None:
    table = models_table((ModelOverview(name="a", served_loss=0.51, baseline_loss=0.57),))
    shown = {str(column.header): list(column.cells) for column in table.columns}
    assert (shown["served"], shown["first version"]) == (["0.5100"], ["0.5700"])
