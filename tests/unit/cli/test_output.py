"""What a command says when something is wrong: who must act is the exit code, the hint is on a line of its own."""

from __future__ import annotations

import io
import json

import pytest
import typer
from rich.console import Console

from cli.output import Output, command_output, exit_code
from shared.errors import (
    CallerError,
    Conflict,
    DependencyUnavailable,
    HomeostatError,
    IntegrityError,
    InvalidLoopSpec,
    NotFound,
    OperatorError,
    TrainingFailed,
)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (CallerError("x"), 3),
        (NotFound("x"), 3),
        (Conflict("x"), 3),
        (InvalidLoopSpec("x"), 4),
        (TrainingFailed("x"), 4),
        (OperatorError("x"), 5),
        (DependencyUnavailable("x"), 5),
        (IntegrityError("x"), 6),
        (HomeostatError("x"), 70),
    ],
)
def test_exit_code_of_each_error(error: HomeostatError, code: int) -> None:
    assert exit_code(error) == code


def test_error_and_hint_are_one_line_each() -> None:
    err = io.StringIO()
    output = Output(False, err=Console(file=err, width=40))
    message = "port 8000 on 127.0.0.1 is taken by [something] with quite a long name"
    output.error(OperatorError(message, hint="set HOMEOSTAT_INFERENCE_PORT"))
    assert err.getvalue() == f"error: {message}\nhint: set HOMEOSTAT_INFERENCE_PORT\n"


def test_json_error_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended, command_output(True):
        raise Conflict("too late", hint="look again")
    assert ended.value.exit_code == 3
    assert json.loads(capsys.readouterr().out) == {
        "error": "too late",
        "hint": "look again",
        "exit_code": 3,
    }


def test_full_disk_is_an_operator_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended, command_output(False):
        raise OSError(28, "No space left on device", "/data/models")
    assert ended.value.exit_code == 5
    assert "error: No space left on device: /data/models\nhint: " in capsys.readouterr().err


def test_unexpected_error_shows_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended, command_output(False):
        raise ZeroDivisionError("by nothing")
    assert ended.value.exit_code == 70
    assert "ZeroDivisionError: by nothing" in capsys.readouterr().err


def test_notes_are_omitted_with_json() -> None:
    err = io.StringIO()
    Output(True, err=Console(file=err)).note("working")
    assert err.getvalue() == ""


def test_brackets_are_not_markup() -> None:
    out = io.StringIO()
    Output(False, out=Console(file=out, width=80)).result({}, "run [r1]: approved by [/ada]")
    assert out.getvalue() == "run [r1]: approved by [/ada]\n"
