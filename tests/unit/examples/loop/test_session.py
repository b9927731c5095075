"""One run of an example: what ends it, its exit code, and whether the stack stays."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
from rich.console import Console

from examples.loop import stack
from examples.loop.clock import LoopStalled
from examples.loop.session import add_options, run_on_stack


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The homes of the stacks that were ended; a started stack is only its addresses."""
    homes: list[Path] = []

    def start(home: Path, *, free_ports: bool, shown: bool) -> stack.Stack:
        return stack.Stack(home, "http://inference", "http://drift", "http://retraining")

    monkeypatch.setattr(stack, "start", start)
    monkeypatch.setattr(stack, "end", homes.append)
    return homes


def options(home: Path, *more: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_options(parser, home="flights")
    return parser.parse_args([f"--home={home}", *more])


def test_stack_ends_with_the_replay(tmp_path: Path, ended: list[Path]) -> None:
    seen: list[str] = []

    def replay(running: stack.Stack) -> int:
        seen.append(running.drift)
        return 7

    assert run_on_stack(options(tmp_path / "home"), Console(quiet=True), replay) == 7
    assert (seen, ended) == (["http://drift"], [tmp_path / "home"])


def test_kept_stack_continues(tmp_path: Path, ended: list[Path]) -> None:
    assert run_on_stack(options(tmp_path / "home", "--keep"), Console(quiet=True), lambda _: 0) == 0
    assert ended == []


def test_stalled_loop_is_an_error_with_the_logs(
    tmp_path: Path, ended: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    def replay(_: stack.Stack) -> int:
        raise LoopStalled("drift does not evaluate")

    assert run_on_stack(options(tmp_path / "home"), Console(quiet=True), replay) == 1
    assert ended == [tmp_path / "home"]
    assert f"hint: read the logs in {tmp_path / 'home' / 'logs'}" in capsys.readouterr().err


def test_folder_with_other_data_is_refused(tmp_path: Path, ended: list[Path]) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    assert run_on_stack(options(tmp_path), Console(quiet=True), lambda _: 0) == 2
    assert ended == []
    assert (tmp_path / "mine.txt").exists()
