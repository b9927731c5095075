"""A training command whose program is missing is a warning, if runs can start."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.deployment.review.training_command import command_warnings
from tests.unit.cli.deployment.review.conftest import MakeLoop


def test_missing_program_is_named(make_loop: MakeLoop, tmp_path: Path) -> None:
    [found] = command_warnings(make_loop(automation="suggest"), tmp_path)
    assert found.text == (
        f"retraining.command: {tmp_path} has no train.py, so every retraining run would fail; write it, or set "
        "`automation: observe`"
    )
    assert command_warnings(make_loop(automation="observe"), tmp_path) == []
    (tmp_path / "train.py").touch()
    assert command_warnings(make_loop(automation="suggest"), tmp_path) == []


@pytest.mark.parametrize(
    "command", [["make", "model"], ["python", "-m", "training"], ["docker", "run", "image:1.py2"]]
)
def test_other_commands_are_not_judged(command: list[str], make_loop: MakeLoop, tmp_path: Path) -> None:
    loop = make_loop(automation="auto", retraining={"command": command})
    assert command_warnings(loop, tmp_path) == []


def test_program_elsewhere_is_found(make_loop: MakeLoop, tmp_path: Path) -> None:
    (tmp_path / "fit.sh").touch()
    loop = make_loop(automation="auto", retraining={"command": ["bash", str(tmp_path / "fit.sh")]})
    assert command_warnings(loop, tmp_path / "project") == []
