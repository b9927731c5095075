"""Runs a command of `homeostat` inside the test process."""

from __future__ import annotations

from typer.testing import CliRunner, Result

from cli.main import app


def run(*arguments: str) -> Result:
    """The exit code and the output of one command."""
    # pytest's workers are given the width of a terminal, which the command does not write to.
    return CliRunner(env={"COLUMNS": None}).invoke(app, list(arguments))
