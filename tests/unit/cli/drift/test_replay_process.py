from __future__ import annotations

import sys
from typing import Any

import pytest

from cli.drift.replay_process import run_replay
from shared.errors import NotFound, OperatorError


def command(*lines: str) -> tuple[str, ...]:
    return (sys.executable, "-c", "\n".join(("import sys, json, os", "given = json.load(sys.stdin)", *lines)))


def test_progress_is_told_and_the_result_returned() -> None:
    told: list[dict[str, Any]] = []
    found = run_replay(
        {"model": "toy"},
        {"HOMEOSTAT_HOME": "/tmp/here"},
        told.append,
        command=command(
            'print(json.dumps({"progress": {"done": 1}}))',
            'print(json.dumps({"result": {given["model"]: os.environ["HOMEOSTAT_HOME"]}}))',
        ),
    )
    assert told == [{"done": 1}]
    assert found == {"toy": "/tmp/here"}


def test_an_error_of_the_process_is_that_of_the_command() -> None:
    error = '{"error": {"kind": "NotFound", "message": "no model", "hint": "deploy"}}'
    with pytest.raises(NotFound, match="no model"):
        run_replay({}, {}, lambda _: None, command=command(f"print('{error}')"))


@pytest.mark.parametrize(
    ("line", "message"),
    [("raise SystemExit('no evidently')", "no evidently"), ("os._exit(9)", "exit code 9")],
)
def test_a_process_that_ends_without_an_answer_is_explained(line: str, message: str) -> None:
    with pytest.raises(OperatorError, match=message):
        run_replay({}, {}, lambda _: None, command=command(line))
