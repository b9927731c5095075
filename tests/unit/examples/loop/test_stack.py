"""The demo's stack: what the demo prints if it does not start."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from examples.flights.demo import main
from examples.loop import stack

PROBLEM = {
    "error": "port 8000 is taken by the stack of /a",
    "hint": "stop it with `homeostat down`",
    "exit_code": 5,
}


def demo_with(program: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """The exit code of a demo whose `homeostat` is a Python program."""
    monkeypatch.setattr(stack, "_command", lambda *_: [sys.executable, "-c", program])
    return main([f"--home={home}", "--part=0.01"])


def test_stack_that_does_not_start_is_one_sentence_and_a_hint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program = f"print({json.dumps(PROBLEM, indent=2)!r}); raise SystemExit(5)"
    assert demo_with(program, tmp_path / "home", monkeypatch) == 5
    assert capsys.readouterr().err.splitlines() == [
        "error: port 8000 is taken by the stack of /a",
        "hint: stop it with `homeostat down`",
    ]


def test_command_without_json_is_shown_with_its_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert demo_with("raise SystemExit('no module')", tmp_path / "home", monkeypatch) == 5
    shown = capsys.readouterr().err
    assert shown.startswith("error: `homeostat up --detach --home=")
    assert shown.endswith("exited with status 1: no module\n")
